import type { Retelling } from "../retold";

/** The server speaks English itself. */
export const told: readonly Retelling[] = [];
