import { Fields } from "../../../parts/field/Form";
import { Checkbox, TextField } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import type { Draft } from "./draft";

interface Props {
  draft: Draft;
  change: (over: Partial<Draft>) => void;
  wrong: (field: keyof Draft) => string | undefined;
}

/** Where it is: what each kind needs to be told. */
export function PlaceFields({ draft, change, wrong }: Props) {
  const { storages } = useWords();
  const words = storages.place;
  switch (draft.kind) {
    case "internal":
      return <p>{words.internalWords}</p>;
    case "directory":
    case "mounted":
      return (
        <Fields>
          <TextField
            label={words.path}
            help={words.pathHelp}
            placeholder="/srv/tintype"
            wrong={wrong("path")}
            value={draft.path}
            onChange={(path) => change({ path })}
          />
          {draft.kind === "mounted" && (
            <TextField
              label={storages.mountPoint}
              help={words.mountHelp}
              placeholder="/mnt/nas"
              wrong={wrong("mountPoint")}
              value={draft.mountPoint}
              onChange={(mountPoint) => change({ mountPoint })}
            />
          )}
        </Fields>
      );
    default:
      return <CloudFields draft={draft} change={change} wrong={wrong} />;
  }
}

function CloudFields({ draft, change, wrong }: Props) {
  const { storages } = useWords();
  const words = storages.place;
  const field = (name: "bucket" | "account" | "container" | "prefix" | "region", help?: string) => (
    <TextField
      label={words[name]}
      help={help}
      wrong={wrong(name)}
      value={draft[name]}
      onChange={(value) => change({ [name]: value })}
    />
  );
  return (
    <>
      <Fields>
        {draft.kind === "azure" ? (
          <>
            {field("account")}
            {field("container", words.mustExist)}
          </>
        ) : (
          field("bucket", words.mustExist)
        )}
        {field("prefix", words.prefixHelp)}
        <TextField
          label={words.endpoint}
          help={words.endpointHelp}
          placeholder="https://host:port"
          value={draft.endpoint}
          onChange={(endpoint) => change({ endpoint })}
        />
        {draft.kind === "s3" && field("region")}
        <TextField
          label={words.authority}
          help={words.authorityHelp}
          value={draft.authority}
          onChange={(authority) => change({ authority })}
        />
      </Fields>
      {draft.kind === "s3" && (
        <Checkbox
          label={words.pathStyle}
          help={words.pathStyleHelp}
          checked={draft.isPathStyle}
          onChange={(isPathStyle) => change({ isPathStyle })}
        />
      )}
    </>
  );
}
