import { common } from "./common";
import { shell } from "./shell";
import { told } from "./told";

/** All that is said to those who are not inside yet. */
export const door = { ...common, ...shell, told };
