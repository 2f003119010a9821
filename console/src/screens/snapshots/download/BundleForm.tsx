import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask } from "../../../api/client";
import { secrets } from "../../../api/transfers";
import { Button } from "../../../parts/button/Button";
import { Form } from "../../../parts/field/Form";
import { Checkbox, Radios, TextArea, TextField } from "../../../parts/field/inputs";
import { Loading } from "../../../parts/loading/Loading";
import { Notice } from "../../../parts/notice/Notice";
import { Told } from "../../../parts/told/Told";
import { useWords } from "../../../words";
import style from "../Transfer.module.css";
import { DRAFT, type Draft, lackOf, newBundle } from "./draft";

interface Props {
  id: string;
  /** Only what lies there. */
  path: string | undefined;
  onClose: () => void;
  onMade: (bundle: string) => void;
}

/** What is secret in it is said before; without a seal only to those who say that they know. */
export function BundleForm({ id, path, onClose, onMade }: Props) {
  const { transfers, common } = useWords();
  const words = transfers.download;
  const [draft, setDraft] = useState<Draft>(DRAFT);
  const [isTried, setTried] = useState(false);
  const change = (over: Partial<Draft>) => setDraft((now) => ({ ...now, ...over }));
  const lack = lackOf(draft);
  const make = useMutation({
    mutationFn: () =>
      ask(
        api.POST("/api/v1/snapshots/{id}/bundles", {
          params: { path: { id } },
          body: newBundle(draft, path),
        }),
      ),
    onSuccess: (made) => onMade(made.id),
  });
  const submit = () => {
    setTried(true);
    if (!lack) make.mutate();
  };
  return (
    <Form
      onSubmit={submit}
      error={make.error}
      actions={
        <>
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" kind="primary" isBusy={make.isPending}>
            {words.make}
          </Button>
        </>
      }
    >
      {path && (
        <p>
          {words.only} <code>{path}</code>
        </p>
      )}
      <Secrets id={id} path={path} />
      <Radios
        label={words.seal}
        name="seal"
        value={draft.seal}
        of={[
          { value: "passphrase", label: words.passphraseWay },
          { value: "recipients", label: words.recipientsWay },
          { value: "plain", label: words.plain, help: words.plainWords },
        ]}
        onChange={(seal) => change({ seal })}
      />
      {draft.seal === "passphrase" && (
        <>
          <TextField
            label={words.passphrase}
            type="password"
            autoComplete="new-password"
            help={words.passphraseHelp}
            wrong={isTried && lack === "short" ? words.lacks.short : undefined}
            value={draft.passphrase}
            onChange={(passphrase) => change({ passphrase })}
          />
          <TextField
            label={words.again}
            type="password"
            autoComplete="new-password"
            wrong={isTried && lack === "differs" ? words.lacks.differs : undefined}
            value={draft.again}
            onChange={(again) => change({ again })}
          />
        </>
      )}
      {draft.seal === "recipients" && (
        <TextArea
          label={words.recipients}
          rows={3}
          placeholder="age1…"
          wrong={isTried && lack === "recipients" ? words.lacks.recipients : undefined}
          value={draft.recipients}
          onChange={(recipients) => change({ recipients })}
        />
      )}
      {draft.seal === "plain" && (
        <>
          <Notice is="attention" title={words.plainTitle}>
            {words.plainWarning}
          </Notice>
          <Checkbox
            label={words.sure}
            checked={draft.isSure}
            onChange={(isSure) => change({ isSure })}
          />
          {isTried && lack === "sure" && (
            <p className={style.wrong} role="alert">
              {words.lacks.sure}
            </p>
          )}
        </>
      )}
    </Form>
  );
}

function Secrets({ id, path }: Pick<Props, "id" | "path">) {
  const { transfers } = useWords();
  const words = transfers.download;
  const query = useQuery(secrets(id, path));
  return (
    <Loading of={query} lines={2}>
      {(found) =>
        found.length === 0 ? (
          <Notice is="none" title={words.noSecrets} />
        ) : (
          <Notice is="attention" title={words.secrets}>
            <ul className={style.secrets}>
              {found.map(({ path, what }) => (
                <li key={`${path} ${what}`}>
                  <code>{path}</code>: <Told of={what} />
                </li>
              ))}
            </ul>
          </Notice>
        )
      }
    </Loading>
  );
}
