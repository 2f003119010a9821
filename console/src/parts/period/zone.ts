let own: string | undefined;

/** Where whoever looks at this is. Browsers take their time to say it, and say the same each time. */
export const ownZone = (): string => {
  own ??= Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  return own;
};
