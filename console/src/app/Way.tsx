import { Link } from "@tanstack/react-router";
import { useWords } from "../words";
import type { Screen } from "./screen";
import { screens } from "./screens";
import { useWho } from "./session";
import { screenOf } from "./wayTo";

/** To the screen that does what a command does, for those who may see it. */
export function Way({ command }: { command: string }) {
  const { shell, screens: names } = useWords();
  const who = useWho();
  const name = screenOf(command);
  const screen: Screen | undefined = screens.find((each) => each.name === name);
  if (!screen || !who.may(screen.needs)) return null;
  return <Link to={screen.home}>{shell.to(names[screen.name])}</Link>;
}
