import type { Words } from "../index";

/** Titles of runs, findings of checks, what goes with the whole restore. */
export const told: Words["told"] = [
  [/^full snapshot$/, "voller Snapshot"],
  [/^tenant snapshot$/, "Snapshot eines Mandanten"],
  [
    /^snapshot of the manager's state before its upgrade$/,
    "Snapshot des Managers vor seinem Upgrade",
  ],
  [/^snapshot of the manager$/, "Snapshot des Managers"],
  [/^snapshot of (.*)$/, "Snapshot von $1"],
  [
    /^restore of everything, after the manager itself$/,
    "Wiederherstellung von allem, nach dem Manager",
  ],
  [/^restore of (.*)$/, "Wiederherstellung von $1"],
  [/^deletion of snapshots whose time is over$/, "Löschen abgelaufener Snapshots"],
  [/^check of storage (\S+)$/, "Prüfung des Speichers $1"],
  [/^check of all agents and connectors$/, "Prüfung aller Agenten und Konnektoren"],
  [/^sync (\S+) to storage (\S+)(.*)$/, "Kopieren nach Regel $1 in den Speicher $2$3"],
  [/^(?:plain )?bundle of snapshot (\S+)$/, "Datei von Snapshot $1"],
  [/^import of (.*) for (\S+)$/, "Einlesen von $1 für $2"],

  [
    /^an object is put in (\S+) ms and read in (\S+) ms$/,
    "ein Objekt ist in $1 ms geschrieben und in $2 ms gelesen",
  ],
  [
    /^objects can be put, read, listed and deleted$/,
    "Objekte lassen sich schreiben, lesen, auflisten und löschen",
  ],
  [/^several hosts may write at the same time$/, "mehrere Hosts können zugleich schreiben"],
  [
    /^the store's clock and this host's agree$/,
    "die Uhr des Speichers und die dieses Hosts stimmen überein",
  ],
  [/^(\S+ \S+) are free$/, "$1 sind frei"],
  [/^(\S+) % full \((\S+ \S+) of (\S+ \S+) are free\)$/, "$1 % voll ($2 von $3 sind frei)"],

  [
    /^read while others write: its files may be of different moments(?:; put it on btrfs, or on an image on a file system with reflinks)?$/,
    "gelesen, während andere schreiben: Seine Dateien können aus verschiedenen Augenblicken stammen; legen Sie es auf btrfs, oder auf ein Abbild in einem Dateisystem mit Reflinks",
  ],
  [
    /^volume (\S+): (\S+): No such file or directory \(os error 2\)$/,
    "Volume $1: $2 gibt es nicht",
  ],
  [/^switched off$/, "ausgeschaltet"],
  [
    /^snapshots are switched off for this tenant$/,
    "Snapshots sind für diesen Mandanten ausgeschaltet",
  ],

  [
    /^it is typed on the manager's host, as the user that the manager runs as; it shows a plan and asks before anything is done; on another machine it asks for the twelve words of the recovery sheet, too$/,
    "er wird auf dem Host des Managers eingegeben, als der Benutzer, unter dem der Manager läuft; er zeigt einen Plan und fragt, bevor etwas geschieht; auf einer anderen Maschine fragt er auch nach den zwölf Wörtern des Notfallblatts",
  ],
  [
    /^it holds the manager's state alone: applications stay as they are$/,
    "er enthält nur den Zustand des Managers: Anwendungen bleiben, wie sie sind",
  ],
  [
    /^what was changed since, in the manager and in all applications, is replaced$/,
    "was seither geändert wurde, im Manager und in allen Anwendungen, wird ersetzt",
  ],
  [
    /^something is missing in this snapshot: look at its items first$/,
    "in diesem Snapshot fehlt etwas: Sehen Sie zuerst nach, was er enthält",
  ],
  [
    /^all sessions have ended: log in again, with the passwords of that time; tokens go on, unless `--revoke-tokens` ends them$/,
    "alle Sitzungen sind zu Ende: Melden Sie sich neu an, mit den Passwörtern von damals; Tokens gelten weiter, außer `--revoke-tokens` beendet sie",
  ],
  [
    /^`tintype manager undo`, which it names at its end, brings back what was there$/,
    "`tintype manager undo`, das er am Ende nennt, bringt zurück, was da war",
  ],
  [
    /^it holds chosen resources only: the manager, other tenants and other resources are not in it, and a restore of everything would lose them; restore what it holds$/,
    "er enthält nur ausgewählte Ressourcen: Der Manager, andere Mandanten und andere Ressourcen sind nicht darin und gingen mit einer Wiederherstellung von allem verloren; stellen Sie wieder her, was er enthält",
  ],
  [
    /^it holds one tenant only: the manager and other tenants are not in it; restore the resources of the tenant$/,
    "er enthält nur einen Mandanten: Der Manager und andere Mandanten sind nicht darin; stellen Sie die Ressourcen des Mandanten wieder her",
  ],
  [
    /^administrators of the system restore everything$/,
    "Administratoren des Systems stellen alles wieder her",
  ],

  [/^no snapshot holds (.*)$/, "kein Snapshot enthält $1"],
  [/^not protected: (.*)$/, "nicht geschützt: $1"],
  [/^storage (\S+) cannot be used: (.*)$/, "der Speicher $1 lässt sich nicht benutzen: $2"],
  [/^everything, daily, kept a month$/, "alles, täglich, bleibt einen Monat"],
  [
    /^what has the tag `protected`, daily, kept a month$/,
    "was das Merkmal `protected` hat, täglich, bleibt einen Monat",
  ],
  [
    /^hourly kept 3 hours and immutable, midnight kept 3 days, noon kept a day$/,
    "stündlich, bleibt 3 Stunden und unveränderlich; um Mitternacht, bleibt 3 Tage; mittags, bleibt einen Tag",
  ],
  [
    /^yearly kept 7 years, monthly a year, weekly 31 days, daily 7 days$/,
    "jährlich, bleibt 7 Jahre; monatlich ein Jahr, wöchentlich 31 Tage, täglich 7 Tage",
  ],
  [
    /^yearly kept forever, monthly a year, weekly 31 days, daily 7 days$/,
    "jährlich, bleibt für immer; monatlich ein Jahr, wöchentlich 31 Tage, täglich 7 Tage",
  ],

  [/^done$/, "getan"],
  [/^refused$/, "abgelehnt"],
  [/^succeeded$/, "gelungen"],
  [/^incomplete$/, "unvollständig"],
  [/^failed$/, "fehlgeschlagen"],
  [/^canceled$/, "abgebrochen"],
];
