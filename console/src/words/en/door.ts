import { common } from "./common";
import { shell } from "./shell";

/** All that is said to those who are not inside yet. */
export const door = { login: shell.login, problems: common.problems };
