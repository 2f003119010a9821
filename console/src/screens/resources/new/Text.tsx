import { useState } from "react";
import { useBecause } from "../../../app/because";
import { Answers } from "../../../parts/field/Answers";
import { Form } from "../../../parts/field/Form";
import { TextArea } from "../../../parts/field/inputs";
import { useWords } from "../../../words";
import { useAdd } from "./add";
import { readDescribed, type Wanted } from "./described";
import { YamlError } from "./flow";
import { Outcomes } from "./Outcomes";

const EXAMPLE = `resources:
- name: documents
  kind: volume
  connector: files
  at: { path: /srv/documents }
  tags: [ office ]
`;

/** Descriptions as text: what is understood is told before it is added. */
export function Text() {
  const { resources: words } = useWords();
  const because = useBecause();
  const [text, setText] = useState("");
  const add = useAdd();
  const told = text.trim() === "" ? undefined : understood(text);
  const wanted = told?.wanted ?? [];
  const wrong =
    told && !told.wanted
      ? told.line === undefined
        ? words.textWrong
        : words.textWrongAt(told.line)
      : undefined;
  return (
    <Form
      onSubmit={() => wanted.length > 0 && add.mutate(wanted)}
      error={add.error}
      actions={
        <Answers
          action={words.addAll}
          isBusy={add.isPending}
          because={because ?? (wanted.length > 0 ? undefined : words.writeFirst)}
        />
      }
    >
      <TextArea
        label={words.text}
        help={wanted.length > 0 ? words.understood(wanted.map(({ name }) => name)) : words.textHelp}
        wrong={wrong}
        rows={16}
        placeholder={EXAMPLE}
        value={text}
        onChange={setText}
      />
      {add.data && <Outcomes of={add.data} />}
    </Form>
  );
}

function understood(text: string): { wanted?: Wanted[]; line?: number } {
  try {
    return { wanted: readDescribed(text) };
  } catch (error) {
    return error instanceof YamlError ? { line: error.line } : {};
  }
}
