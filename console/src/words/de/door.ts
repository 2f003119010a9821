import { common } from "./common";
import { shell } from "./shell";
import { told } from "./told";

export const door = { ...common, ...shell, told };
