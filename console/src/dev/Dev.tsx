import { Look } from "../screens/settings/Look";
import style from "./Dev.module.css";
import { PARTS } from "./states";

/** Every part of the console in all its states, without a manager. It is not in what is built. */
export function Dev() {
  return (
    <main className={style.page}>
      <h1>Parts of the console</h1>
      <Look />
      {PARTS.map(({ folder, states }) => (
        <section key={folder} aria-labelledby={`part-${folder}`}>
          <h2 id={`part-${folder}`}>{folder}</h2>
          <div className={style.states}>
            {states.map(([name, drawn]) => (
              <figure key={name} className={style.state}>
                <figcaption>{name}</figcaption>
                {drawn}
              </figure>
            ))}
          </div>
        </section>
      ))}
    </main>
  );
}
