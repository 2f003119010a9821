import { type ComponentType, createContext } from "react";

/** The way to the screen that does what a command does. At the door there is none. */
export const WayContext = createContext<ComponentType<{ command: string }>>(() => null);
