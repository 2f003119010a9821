import type { ReactNode } from "react";
import { actions } from "./states/actions";
import { fields } from "./states/fields";
import { shown } from "./states/shown";
import { told } from "./states/told";

/** One part of the console, by the name of its folder below `parts/`, in all its states. */
export interface Part {
  folder: string;
  states: [name: string, drawn: ReactNode][];
}

export const PARTS: Part[] = [...told, ...actions, ...fields, ...shown];
