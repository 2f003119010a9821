/** Addresses as they are written, between commas, spaces or lines. */
export const addressesOf = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

/** What to run on the other host. The token is asked for there: it does not stand in lists of programs. */
export const JOIN = "tintype agent --only-join --join -";
export const START = "systemctl enable --now tintype-agent";
