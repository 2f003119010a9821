//! The way to the manager: the address that worked last, else any other that is known.

use std::path::PathBuf;
use std::sync::Mutex;

use tintype_api::agent::{Move, Renew};
use tintype_api::client::Client;
use tintype_engine::env::Env;
use tintype_engine::{Error, ErrorKind, Result};
use tintype_runner::vault::work::WorkOrder;

use super::identity::Identity;
use super::moved::{self, Storage};

pub(super) struct Link {
    data: PathBuf,
    env: Env,
    state: Mutex<State>,
}

struct State {
    identity: Identity,
    /// To the first address.
    client: Option<Client>,
}

impl Link {
    pub(super) fn new(data: PathBuf, env: Env, identity: Identity) -> Self {
        Self { data, env, state: Mutex::new(State { identity, client: None }) }
    }

    /// Asks the manager, wherever it is. What it refuses it refuses everywhere.
    pub(super) fn ask<T>(&self, ask: impl Fn(&Client) -> Result<T>) -> Result<T> {
        let (first, addresses) = self.ways()?;
        let mut failure = match ask(&first) {
            Err(error) if error.is(ErrorKind::Unavailable) => error,
            answer => return answer,
        };
        for address in addresses.into_iter().skip(1) {
            let identity = self.identity();
            let client = identity.client(&address)?;
            match ask(&client) {
                Err(error) if error.is(ErrorKind::Unavailable) => failure = error,
                answer => {
                    self.works(&address, client)?;
                    return answer;
                }
            }
        }
        Err(failure)
    }

    fn ways(&self) -> Result<(Client, Vec<String>)> {
        let mut state = self.state.lock().expect("no panic while held");
        let addresses = state.identity.addresses.clone();
        let first = addresses.first().ok_or_else(|| Error::invalid("no address is known"))?;
        let client = match &state.client {
            Some(client) => client.clone(),
            None => state.identity.client(first)?,
        };
        state.client = Some(client.clone());
        Ok((client, addresses))
    }

    pub(super) fn identity(&self) -> Identity {
        self.state.lock().expect("no panic while held").identity.clone()
    }

    /// It is the first from now on.
    fn works(&self, address: &str, client: Client) -> Result<()> {
        let mut state = self.state.lock().expect("no panic while held");
        state.identity.addresses.retain(|known| known != address);
        state.identity.addresses.insert(0, address.to_owned());
        state.client = Some(client);
        state.identity.save(&self.data)
    }

    /// Ways that were told.
    pub(super) fn learn(&self, addresses: Vec<String>) -> Result<()> {
        let mut state = self.state.lock().expect("no panic while held");
        match state.identity.learn(addresses) {
            true => state.identity.save(&self.data),
            false => Ok(()),
        }
    }

    /// Looks in the storage of the last order whether the manager says where it is now.
    pub(super) fn find(&self, env: &Env) -> Result<Option<Vec<String>>> {
        let identity = self.identity();
        let found = moved::look(&self.data, &identity.authority()?, identity.followed, env)?;
        let Some(Move { time, addresses }) = found else { return Ok(None) };
        let mut state = self.state.lock().expect("no panic while held");
        state.identity.followed = Some(time);
        let old = std::mem::take(&mut state.identity.addresses);
        state.identity.addresses.clone_from(&addresses);
        state.identity.learn(old);
        state.client = None;
        state.identity.save(&self.data)?;
        Ok(Some(addresses))
    }

    /// The storage of the last order is where it would look.
    pub(super) fn keep_storage(&self, order: &WorkOrder) -> Result<()> {
        Storage::of(order).map_or(Ok(()), |storage| storage.keep(&self.data))
    }

    /// Gets the next certificate when a third of the time of this one is left.
    pub(super) fn renew(&self) -> Result<()> {
        let identity = self.identity();
        if !identity.is_to_be_renewed(self.env.clock.now()) {
            return Ok(());
        }
        let renew = Renew { public_key: identity.public_key()? };
        let joined = self.ask(|client| client.renew(&renew))?;
        let mut state = self.state.lock().expect("no panic while held");
        state.identity.renewed(joined);
        // Connections with the old one end by themselves.
        state.client = None;
        state.identity.save(&self.data)
    }
}
