import { Problem } from "../../api/problem";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Notice } from "../../parts/notice/Notice";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { Shape, type Standing, State } from "../../parts/state/State";
import { Cure } from "../../parts/told/Cure";
import { Told } from "../../parts/told/Told";
import type { Part } from "../states";

const STANDINGS: Standing[] = ["good", "attention", "failed", "none", "running"];
const nothing = () => undefined;
const LONG =
  "a storage with a name that does not end soon cannot be reached: the host nas.example.com does not answer";

/** What says how something is. */
export const told: Part[] = [
  {
    folder: "state",
    states: [
      ...STANDINGS.map((is): [string, React.ReactNode] => [is, <State is={is}>{is}</State>]),
      ["shapes alone", STANDINGS.map((is) => <Shape key={is} is={is} />)],
    ],
  },
  {
    folder: "notice",
    states: [
      ...STANDINGS.map((is): [string, React.ReactNode] => [
        is,
        <Notice is={is} title={`A notice that is ${is}`}>
          What follows from it.
        </Notice>,
      ]),
      ["title alone", <Notice is="none" title={LONG} />],
      ["empty", <Empty title="Nothing here yet">What it would be.</Empty>],
      [
        "problem with a cure",
        <ProblemNotice
          error={new Problem("no-space", 507, "the storage is full", "make room, then try again")}
          again={nothing}
        />,
      ],
      ["offline", <ProblemNotice error={new Problem("offline", 0, "")} again={nothing} />],
      ["a bug", <ProblemNotice error={new TypeError("x is undefined")} />],
    ],
  },
  {
    folder: "told",
    states: [
      ["known", <Told of="full snapshot" isTitle />],
      ["not known: it stays English", <Told of={LONG} />],
      ["with a field in it", <Told of="name a superuser as `user`, if it fails" />],
      ["a cure with a command", <Cure of="add it first (`tintype storage add`)" />],
    ],
  },
  {
    folder: "loading",
    states: [
      [
        "waits",
        <Loading of={{ data: undefined, error: null, refetch: nothing }}>{() => null}</Loading>,
      ],
      [
        "failed",
        <Loading
          of={{ data: undefined, error: new Problem("unavailable", 503, LONG), refetch: nothing }}
        >
          {() => null}
        </Loading>,
      ],
      ["there", <Loading of={{ data: "it", error: null, refetch: nothing }}>{(it) => it}</Loading>],
    ],
  },
];
