export const connectors = {
  answer: "Servers that resources are reached through, with their passwords.",
  add: "Add a connector",
  none: "No connector yet",
  noneWords:
    "Needed where a database or a libvirt host asks for a password. Resources then name it.",
  speaks: "Speaks",
  place: "Where",
  from: "Reached from",
  at: "Where the server is",
  password: "Password",
  check: "Try it out",
  reaches: (level: string) => `Reaches the consistency: ${level}`,
  removeTitle: (name: string) => `Remove the connector ${name}?`,
  removeWords:
    "Its password is forgotten. Resources that are reached through it are not captured any more.",
  atHelp: "Only what differs from the usual: an empty field is not sent.",
};
