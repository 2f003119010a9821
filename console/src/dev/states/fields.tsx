import { useState } from "react";
import { Problem } from "../../api/problem";
import { Answers } from "../../parts/field/Answers";
import { Fields, Form } from "../../parts/field/Form";
import { Checkbox, Radios, SelectField, TextArea, TextField } from "../../parts/field/inputs";
import { Filters } from "../../parts/filters/Filters";
import { FrequencyFields } from "../../parts/period/FrequencyFields";
import { PERIOD, PRESETS, type Preset } from "../../parts/period/period";
import { WindowFields } from "../../parts/period/WindowFields";
import type { Part } from "../states";

const nothing = () => undefined;

function Frequency({ preset }: { preset: Preset }) {
  const [draft, setDraft] = useState({ ...PERIOD, preset });
  return (
    <Fields>
      <FrequencyFields draft={draft} change={(over) => setDraft({ ...draft, ...over })} />
    </Fields>
  );
}

function Windows() {
  const fresh = { days: [], from: "08:00", to: "18:00" };
  const [windows, setWindows] = useState([fresh]);
  return <WindowFields label="Windows" windows={windows} fresh={fresh} onChange={setWindows} />;
}

/** What is written into. */
export const fields: Part[] = [
  {
    folder: "field",
    states: [
      ["text", <TextField label="Name" value="shop" onChange={nothing} />],
      ["with help", <TextField label="Keep" help="7d, 4w, 1y6m" value="" onChange={nothing} />],
      [
        "wrong",
        <TextField
          label="Name"
          value=""
          wrong="Give it a name."
          help="Letters"
          onChange={nothing}
        />,
      ],
      [
        "choice",
        <SelectField label="Kind" value="a" onChange={nothing}>
          <option value="a">Volume</option>
        </SelectField>,
      ],
      ["long text", <TextArea label="Text" rows={3} value={"one\ntwo"} onChange={nothing} />],
      ["check", <Checkbox label="On" help="It runs by itself." checked onChange={nothing} />],
      ["check, off", <Checkbox label="On" checked={false} disabled onChange={nothing} />],
      [
        "one of several",
        <Radios
          label="What"
          name="dev"
          value="all"
          of={[
            { value: "all", label: "All", help: "Everything that there is." },
            { value: "part", label: "A part", disabled: true },
          ]}
          onChange={nothing}
        />,
      ],
      [
        "form that was refused",
        <Form
          onSubmit={nothing}
          error={new Problem("already-exists", 409, "shop exists already", "choose another name")}
          actions={<Answers action="Add" isBusy={false} onCancel={nothing} />}
        >
          <TextField label="Name" value="shop" onChange={nothing} />
        </Form>,
      ],
    ],
  },
  {
    folder: "filters",
    states: [
      [
        "one",
        <Filters>
          <TextField label="Find" type="search" value="" onChange={nothing} />
        </Filters>,
      ],
    ],
  },
  {
    folder: "period",
    states: [
      ...PRESETS.map((preset): [string, React.ReactNode] => [
        preset,
        <Frequency preset={preset} />,
      ]),
      ["windows", <Windows />],
    ],
  },
];
