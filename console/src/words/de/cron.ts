/** What the server reads a cron expression as, phrase by phrase: it makes all of them of these. */
const DAYS: Record<string, string> = {
  Monday: "Montag",
  Tuesday: "Dienstag",
  Wednesday: "Mittwoch",
  Thursday: "Donnerstag",
  Friday: "Freitag",
  Saturday: "Samstag",
  Sunday: "Sonntag",
};

const MONTHS: Record<string, string> = {
  January: "Januar",
  February: "Februar",
  March: "März",
  May: "Mai",
  June: "Juni",
  July: "Juli",
  October: "Oktober",
  December: "Dezember",
};

const ORDINALS: Record<string, string> = {
  first: "ersten",
  second: "zweiten",
  third: "dritten",
  fourth: "vierten",
  fifth: "fünften",
  last: "letzten",
};

const MONTH =
  "(?:January|February|March|April|May|June|July|August|September|October|November|December)";
const SOME = `(${MONTH}(?:(?:, | and )${MONTH})*)`;

/** In this order: what is longer comes before what is a part of it. */
const PHRASES: [RegExp, string][] = [
  [/ of each month, where there is one/g, " jedes Monats, der ihn hat"],
  [new RegExp(` of ${SOME}, where there is one`, "g"), " im $1, wo es ihn gibt"],
  [/ of each month/g, " jedes Monats"],
  [new RegExp(` (?:of|in) ${SOME}`, "g"), " im $1"],
  [/^at minute (\d+) of every hour/, "zur Minute $1 jeder Stunde"],
  [/^at minutes ([\d, ]+(?:(?:and|to) \d+)?) of every hour/, "zu den Minuten $1 jeder Stunde"],
  [/^at every (\d+)(?:nd|rd|th) minute from (\d+) to (\d+)/, "zu jeder $1. Minute von $2 bis $3"],
  [/^at minutes ([\d, ]+(?:(?:and|to) \d+)?)/, "zu den Minuten $1"],
  [/^at minute (\d+)/, "zur Minute $1"],
  [/^every minute/, "jede Minute"],
  [/^at (\d\d:\d\d(?:(?:, | and )\d\d:\d\d)*)/, "um $1 Uhr"],
  [/ of every hour/g, " jeder Stunde"],
  [/ of the hour (\d+)/g, " der Stunde $1"],
  [/ of the hours /g, " der Stunden "],
  [/ of every day/g, " jeden Tag"],
  [/on every day/g, "an jedem Tag"],
  [
    /on the day from (\w+) to (\w+) nearest to day (\d+)/g,
    "am Tag von $1 bis $2, der dem $3. am nächsten liegt,",
  ],
  [/on the last day from (\w+) to (\w+)/g, "am letzten Tag von $1 bis $2"],
  [/on the last day/g, "am letzten Tag"],
  [/on the (first|second|third|fourth|fifth|last) /g, "am $1 "],
  [/on days /g, "an den Tagen "],
  [/on day (\d+)/g, "am $1."],
  [/every day/g, "jeden Tag"],
  [/every /g, "jeden "],
  [/ from /g, " von "],
  [/, and also /g, ", und außerdem "],
  [/ and /g, " und "],
  [/ to /g, " bis "],
];

/** With the zone that stands after it, which is a name in any language. */
export function reads(english: string): string {
  const at = english.lastIndexOf(", ");
  const hasZone = at > 0 && /^[A-Z][\w+-]*(\/[\w+/-]+)?$/.test(english.slice(at + 2));
  const said = hasZone ? english.slice(0, at) : english;
  const zone = hasZone ? english.slice(at) : "";
  const phrased = PHRASES.reduce((text, [as, words]) => text.replace(as, words), said);
  const named = phrased.replace(
    /\p{L}+/gu,
    (word) => DAYS[word] ?? MONTHS[word] ?? ORDINALS[word] ?? word,
  );
  return named + zone;
}
