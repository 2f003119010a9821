import type { DoorWords } from "../door";
import { common } from "./common";
import { shell } from "./shell";

export const door: DoorWords = { login: shell.login, problems: common.problems };
