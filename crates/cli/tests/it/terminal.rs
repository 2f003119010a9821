//! A person at a terminal: `script` gives the program one of its own.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::support::{Lab, noise};

/// Runs a shell command on a terminal; afterwards the terminal tells its settings.
fn on_terminal(lab: &Lab, command: &str) -> Child {
    let line = format!("trap : INT; {command}; echo \"[code $?]\"; stty -a");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    lab.prepare(&mut script);
    script.env_remove("TINTYPE_PASSWORD").env("TERM", "xterm").env("SHELL", "/bin/sh");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    script.spawn().expect("script (package bsdutils) can be run")
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_tintype");

/// What the terminal shows up to and with `until`; all of it where there is none.
fn shown(child: &mut Child, until: &str) -> String {
    let mut text = Vec::new();
    let out = child.stdout.as_mut().unwrap();
    let mut byte = [0];
    while out.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
        if !until.is_empty() && text.ends_with(until.as_bytes()) {
            break;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[track_caller]
fn assert_usable(settings: &str) {
    assert!(settings.contains(" echo ") && !settings.contains("-echo "), "{settings}");
    assert!(settings.contains(" icanon ") && settings.contains("isig "), "{settings}");
}

#[test]
fn an_interrupted_prompt_leaves_the_terminal_as_it_was() {
    let lab = Lab::ready();
    let mut child = on_terminal(&lab, &format!("{PROGRAM} repo list"));
    let prompt = shown(&mut child, "passphrase of ");
    assert!(prompt.contains("passphrase"), "{prompt}");
    shown(&mut child, ": ");
    child.stdin.as_mut().unwrap().write_all(b"half of it\x03").unwrap();
    let rest = shown(&mut child, "");
    child.wait().unwrap();
    assert!(rest.contains("[code 130]"), "{rest}");
    assert!(!rest.contains("half of it"), "what was typed shows: {rest}");
    assert_usable(&rest);
}

#[test]
fn progress_is_drawn_and_cleared() {
    let lab = Lab::ready();
    lab.write("source/file", noise(6 << 20, "drawn"));
    lab.write("secret", crate::support::PASSWORD);
    let snapshot =
        format!("{PROGRAM} repo snapshot source --password-file secret --limit-upload 2MiB/s 2>&1");
    let mut child = on_terminal(&lab, &snapshot);
    let text = shown(&mut child, "");
    child.wait().unwrap();
    assert!(text.contains("[code 0]"), "{text}");
    let drawn = text.find("snapshot: ").expect("progress is drawn");
    let cleared = text.rfind("\x1b[2K").expect("lines are cleared");
    let result = text.rfind("1 file, 6 MiB; read").expect("the result is shown");
    assert!(drawn < cleared && cleared < result, "{text:?}");
    // Whoever hides the cursor shows it again.
    let last = |code: &str| text.rfind(code);
    assert!(last("\x1b[?25l") <= last("\x1b[?25h"), "{text:?}");
    assert_usable(&text);
}
