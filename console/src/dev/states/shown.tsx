import { UsageChart } from "../../parts/chart/UsageChart";
import { Facts } from "../../parts/facts/Facts";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { Progress } from "../../parts/progress/Progress";
import { Scroll } from "../../parts/scroll/Scroll";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { Tabs } from "../../parts/tabs/Tabs";
import { When } from "../../parts/when/When";
import type { Part } from "../states";

const DAY_MS = 86_400_000;
const BEGIN = Date.UTC(2026, 9, 1);
const GIB = 1024 ** 3;
const points = Array.from({ length: 40 }, (_, n) => ({
  at: new Date(BEGIN + n * DAY_MS),
  value: (20 + n + (n % 7)) * GIB,
}));

interface Row {
  name: string;
  size: number;
}

const columns: Column<Row>[] = [
  { key: "name", title: "Name", isHead: true, cell: ({ name }) => name },
  { key: "state", title: "State", cell: () => <State is="good">good</State> },
  { key: "size", title: "Size", isNumber: true, cell: ({ size }) => size },
];
const rows = (count: number): Row[] =>
  Array.from({ length: count }, (_, n) => ({ name: `resource-${n}`, size: n * 1000 }));
const table = (count: number) => (
  <Table
    label="Rows"
    columns={columns}
    rows={rows(count)}
    rowKey={({ name }) => name}
    isQuiet={({ size }) => size === 1000}
    empty="Nothing is here."
  />
);

/** What is read. */
export const shown: Part[] = [
  {
    folder: "chart",
    states: [
      ["grows", <UsageChart points={points} />],
      ["near its limit", <UsageChart points={points} limit={70 * GIB} />],
      ["too few", <UsageChart points={points.slice(0, 1)} />],
    ],
  },
  {
    folder: "facts",
    states: [
      [
        "some",
        <Facts
          of={[
            ["Kind", "Directory"],
            ["Nothing", undefined],
            ["Place", "/a/path/that/does/not/end/soon/and/goes/on/and/on"],
          ]}
        />,
      ],
    ],
  },
  {
    folder: "page",
    states: [
      [
        "page",
        <Page title="A screen" answer="Its answer." actions="What can be done">
          What it rests on.
        </Page>,
      ],
    ],
  },
  {
    folder: "panel",
    states: [
      ["plain", <Panel title="Panel">What is in it.</Panel>],
      [
        "with something beside",
        <Panel title="Panel" beside="beside">
          What is in it.
        </Panel>,
      ],
    ],
  },
  {
    folder: "progress",
    states: [
      ["nobody knows", <Progress share={undefined} label="How far" />],
      ["a third", <Progress share={1 / 3} label="How far" />],
      ["done", <Progress share={1} label="How far" />],
    ],
  },
  {
    folder: "scroll",
    states: [
      ["wide", <Scroll>{"A long line. ".repeat(40)}</Scroll>],
      [
        "high",
        <Scroll isLow>
          <pre>{"A line.\n".repeat(200)}</pre>
        </Scroll>,
      ],
    ],
  },
  {
    folder: "table",
    states: [
      ["empty", table(0)],
      ["few", table(3)],
      ["many: only those in sight are in the document", table(2000)],
    ],
  },
  {
    folder: "tabs",
    states: [
      [
        "two",
        <Tabs label="Tabs">
          <a href="#one" aria-current="page">
            One
          </a>
          <a href="#other">Other</a>
        </Tabs>,
      ],
    ],
  },
  {
    folder: "when",
    states: [
      ["time", <When at={new Date(BEGIN)} />],
      ["distance", <When at={new Date(BEGIN)} short />],
    ],
  },
];
