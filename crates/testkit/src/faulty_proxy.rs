//! A proxy in front of a real store that does to chosen requests what networks and overloaded
//! stores do. It passes requests on as they are, so that signatures hold.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a request.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This status with this code of S3; the store never sees the request.
    Answer(u16, &'static str),
    /// The store's answer ends in the middle of its body.
    HalfBody,
    /// The store did it, and the answer is lost.
    LostAnswer,
    /// No answer, ever.
    Silence,
    /// The store gets it later.
    Delay(Duration),
    /// This request and all later ones find nobody there.
    Vanish,
    /// This request and all later ones are answered 503, until there are other rules.
    Outage,
}

/// Which requests: those with this method whose target contains all of these, from number
/// `from` on (counted from 0), `times` of them.
#[derive(Clone, Debug)]
pub struct Rule {
    pub method: &'static str,
    pub target: Vec<String>,
    pub from: usize,
    pub times: usize,
    pub fault: Fault,
}

impl Rule {
    pub fn new(method: &'static str, target: &[&str], fault: Fault) -> Self {
        let target = target.iter().map(|part| (*part).to_owned()).collect();
        Self { method, target, from: 0, times: 1, fault }
    }

    #[must_use]
    pub fn from(self, from: usize) -> Self {
        Self { from, ..self }
    }

    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

#[derive(Default)]
struct State {
    rules: Vec<(Rule, usize)>,
    asked: Vec<String>,
    open: Vec<TcpStream>,
    vanished: bool,
    is_out: bool,
}

pub struct FaultyProxy {
    /// `http://127.0.0.1:port`
    pub endpoint: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl FaultyProxy {
    /// In front of `endpoint` (`http://host:port`).
    pub fn start(endpoint: &str, rules: Vec<Rule>) -> Self {
        let store = endpoint.strip_prefix("http://").expect("an endpoint without TLS");
        let store: SocketAddr = store.parse().expect("an address and a port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let proxy = Self { endpoint: format!("http://{address}"), address, state };
        proxy.set(rules);
        let state = proxy.state.clone();
        std::thread::spawn(move || accept(&listener, store, &state));
        proxy
    }

    /// These rules from now on; counting begins anew.
    pub fn set(&self, rules: Vec<Rule>) {
        let mut state = self.lock();
        state.rules = rules.into_iter().map(|rule| (rule, 0)).collect();
        state.asked.clear();
        state.is_out = false;
    }

    /// `METHOD target` of every request since the rules were set.
    pub fn asked(&self) -> Vec<String> {
        self.lock().asked.clone()
    }

    /// How many requests were of this method, with this in their target.
    pub fn count(&self, method: &str, target: &str) -> usize {
        let of = |line: &&String| line.starts_with(method) && line.contains(target);
        self.lock().asked.iter().filter(of).count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        vanish(&self.state);
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect(self.address);
    }
}

fn vanish(state: &Mutex<State>) {
    let mut state = state.lock().expect("no holder panics");
    state.vanished = true;
    for stream in state.open.drain(..) {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Ends, and with it the port, when the proxy vanishes.
fn accept(listener: &TcpListener, store: SocketAddr, state: &Arc<Mutex<State>>) {
    let address = listener.local_addr().expect("it is bound");
    for client in listener.incoming().flatten() {
        {
            let mut state = state.lock().expect("no holder panics");
            if state.vanished {
                return;
            }
            state.open.extend(client.try_clone());
        }
        let state = state.clone();
        std::thread::spawn(move || {
            // Either side may go away at any time.
            let _ = serve(&client, store, &state);
            let _ = client.shutdown(Shutdown::Both);
            if state.lock().expect("no holder panics").vanished {
                let _ = TcpStream::connect(address);
            }
        });
    }
}

/// First lines and headers of a request or an answer.
struct Head {
    bytes: Vec<u8>,
    text: String,
}

impl Head {
    /// `None` at the end of the connection.
    fn read(from: &mut impl io::BufRead) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            if from.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
        }
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        Ok(Some(Self { bytes, text }))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let line = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.map(str::trim)
    }

    fn length(&self) -> usize {
        self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    fn body(&self, from: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if self.header("transfer-encoding") != Some("chunked") {
            body.resize(self.length(), 0);
            from.read_exact(&mut body)?;
            return Ok(body);
        }
        // As it is on the wire, sizes and all.
        loop {
            let start = body.len();
            from.read_until(b'\n', &mut body)?;
            let line = String::from_utf8_lossy(&body[start..]);
            let size = line.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            let start = body.len();
            body.resize(start + size + 2, 0);
            from.read_exact(&mut body[start..])?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
}

fn serve(client: &TcpStream, store: SocketAddr, state: &Arc<Mutex<State>>) -> io::Result<()> {
    let mut store = BufReader::new(TcpStream::connect(store)?);
    let mut client = BufReader::new(client);
    while let Some(request) = Head::read(&mut client)? {
        let first = String::from_utf8_lossy(&request.bytes);
        let first = first.lines().next().unwrap_or_default().to_owned();
        let fault = fault_of(&first, state);
        if let Some(Fault::Vanish) = fault {
            vanish(state);
            return Ok(());
        }
        let waits = request.header("expect").is_some();
        if let (Some(Fault::Answer(status, code)), true) = (fault, waits) {
            return refuse(client.get_mut(), status, code);
        }
        if waits {
            client.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = request.body(&mut client)?;
        match fault {
            Some(Fault::Answer(status, code)) => return refuse(client.get_mut(), status, code),
            Some(Fault::Silence) => {
                // Until the client gives up.
                io::copy(&mut client, &mut io::sink())?;
                return Ok(());
            }
            Some(Fault::Delay(time)) => std::thread::sleep(time),
            _ => {}
        }
        store.get_mut().write_all(&request.bytes)?;
        store.get_mut().write_all(&body)?;
        let mut answer = Head::read(&mut store)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        while answer.text.starts_with("http/1.1 100") {
            answer = Head::read(&mut store)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        let is_bare = first.starts_with("HEAD ") || answer.text.starts_with("http/1.1 204");
        let body = if is_bare { Vec::new() } else { answer.body(&mut store)? };
        if let Some(Fault::LostAnswer) = fault {
            return Ok(());
        }
        client.get_mut().write_all(&answer.bytes)?;
        if let Some(Fault::HalfBody) = fault {
            return client.get_mut().write_all(&body[..body.len() / 2]);
        }
        client.get_mut().write_all(&body)?;
    }
    Ok(())
}

/// The request's number under each rule is counted, the first rule that wants it decides.
fn fault_of(first_line: &str, state: &Mutex<State>) -> Option<Fault> {
    let mut words = first_line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut state = state.lock().expect("no holder panics");
    state.asked.push(format!("{method} {target}"));
    let mut fault = None;
    for (rule, seen) in &mut state.rules {
        if rule.method != method || !rule.target.iter().all(|part| target.contains(part)) {
            continue;
        }
        let number = *seen;
        *seen += 1;
        if number >= rule.from && number - rule.from < rule.times {
            fault = fault.or(Some(rule.fault));
        }
    }
    state.is_out |= matches!(fault, Some(Fault::Outage));
    match state.is_out {
        true => Some(Fault::Answer(503, "ServiceUnavailable")),
        false => fault,
    }
}

fn refuse(client: &mut impl io::Write, status: u16, code: &str) -> io::Result<()> {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>said the proxy</Message></Error>"
    );
    write!(
        client,
        "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}
