import { plural } from "../plural";

/** A file looked for in all snapshots. */
export const find = {
  title: "Find a file",
  called: (name: string) => `Find files called ${name}`,
  answer: "In which snapshots is it? The newest that holds each comes first.",
  name: "Name",
  nameHelp: "A part of the path, or a pattern: *.conf",
  below: "Only below",
  belowHelp: "A directory of the snapshots",
  go: "Search",
  inSnapshot: "Newest snapshot with it",
  versions: "Versions",
  do: "Do",
  begin: "Type a part of its name.",
  beginWords: "Names and paths are looked at, not what files hold.",
  none: "No snapshot that was looked into holds that",
  noneWords: "Only names are looked for. Capitals and small letters differ.",
  looked: (count: string, until: string) => `${count} looked into, back to ${until}`,
  snapshots: (count: number, told: string) => `${told} ${plural(count, "snapshot", "snapshots")}`,
  further: "Look into older ones",
  allLooked: "All were looked into.",
  unread: "Not all could be looked into",
  more: (count: number) =>
    `${count} ${plural(count, "snapshot holds", "snapshots hold")} more than is shown: say more of the name.`,
};
