import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { sent, unchanged, useChange } from "../../api/change";
import { api, ask } from "../../api/client";
import { reading } from "../../api/objects";
import type { Profile, ProfileSpec } from "../../api/types";
import { useBecause } from "../../app/because";
import { useWho } from "../../app/session";
import { Button } from "../../parts/button/Button";
import { Empty } from "../../parts/notice/Empty";
import { ProblemNotice } from "../../parts/notice/ProblemNotice";
import { State } from "../../parts/state/State";
import { type Column, Table } from "../../parts/table/Table";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { sentence } from "../../words/sentence";
import style from "./Schedules.module.css";
import { useSaid } from "./said";

export function ProfileTable({ profiles }: { profiles: Profile[] }) {
  const { schedules: words, screens } = useWords();
  const columns = useColumns();
  return (
    <Table
      label={screens.schedules}
      columns={columns}
      rows={profiles}
      rowKey={({ id }) => id}
      isQuiet={({ spec }) => spec.enabled === false}
      empty={<Empty title={words.none}>{words.noneWords}</Empty>}
    />
  );
}

function useColumns(): Column<Profile>[] {
  const { schedules: words, common } = useWords();
  const who = useWho();
  return [
    {
      key: "name",
      title: common.name,
      isHead: true,
      cell: ({ id, name }) => (
        <Link to="/schedules/$id" params={{ id }}>
          {name}
        </Link>
      ),
    },
    { key: "words", title: words.when, cell: (profile) => <Said profile={profile} /> },
    { key: "next", title: words.next, cell: (profile) => <Next profile={profile} /> },
    {
      key: "state",
      title: common.state,
      cell: ({ spec }) =>
        spec.enabled === false ? (
          <State is="none">{words.off}</State>
        ) : (
          <State is="good">{words.on}</State>
        ),
    },
    {
      key: "do",
      title: common.actions,
      isAction: true,
      cell: (profile) => who.may("change") && <Switch profile={profile} />,
    },
  ];
}

const useReading = ({ spec }: Profile) => useQuery(reading(spec as ProfileSpec)).data?.periods;

function Said({ profile }: { profile: Profile }) {
  const { schedules } = useWords();
  const format = useFormat();
  const saidOf = useSaid();
  const periods = useReading(profile);
  const keptOf = (retention = "1m") => {
    const long = format.retention(retention);
    if (long) return schedules.kept(long);
    return /^(forever|never)$/.test(retention) ? schedules.keptForEver : schedules.kept(retention);
  };
  const own = (profile.spec as ProfileSpec).periods;
  return (
    <ul>
      {periods?.map(({ name, words }, at) => (
        <li key={name}>
          {sentence(saidOf(own[at], words))} {keptOf(own[at]?.retention)}
        </li>
      ))}
    </ul>
  );
}

function Next({ profile }: { profile: Profile }) {
  const periods = useReading(profile);
  const next = periods?.flatMap((period) => period.next.slice(0, 1)).sort()[0];
  return next && profile.spec.enabled !== false ? <When at={next} /> : null;
}

/** Switches a schedule on or off; what it took stays as long as it would. */
export function Switch({ profile }: { profile: Profile }) {
  const { schedules: words } = useWords();
  const because = useBecause();
  const isOn = profile.spec.enabled !== false;
  const change = useChange(["profile", "status"], () =>
    ask(
      api.PATCH("/api/v1/profiles/{id}", {
        params: { path: { id: profile.id }, header: unchanged(profile) },
        body: { spec: sent({ ...profile.spec, enabled: !isOn }) },
      }),
    ),
  );
  const action = isOn ? words.switchOff : words.switchOn;
  return (
    <div className={style.switch}>
      <Button
        because={because}
        isBusy={change.isPending}
        aria-label={`${action}: ${profile.name}`}
        onClick={() => change.mutate(undefined)}
      >
        {action}
      </Button>
      {change.error && <ProblemNotice error={change.error} />}
    </div>
  );
}
