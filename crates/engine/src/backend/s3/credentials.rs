//! Who we are to the store. Without a key of its own, a backend asks in this order:
//! `AWS_ACCESS_KEY_ID` / `AWS_SECRET_ACCESS_KEY` / `AWS_SESSION_TOKEN`, the shared files and their
//! profile, `AWS_WEB_IDENTITY_TOKEN_FILE` with `AWS_ROLE_ARN`, the container's and the
//! machine's role (IMDSv2). Roles are renewed before they end.

use std::fmt;

use aws_sdk_s3::config::Credentials;
use zeroize::Zeroizing;

/// A key that the caller holds, such as the manager from its sealed settings.
#[derive(Clone)]
pub struct AccessKey {
    id: String,
    secret: Zeroizing<String>,
    session_token: Option<Zeroizing<String>>,
}

impl AccessKey {
    pub fn new(id: &str, secret: &str, session_token: Option<&str>) -> Self {
        Self {
            id: id.to_owned(),
            secret: Zeroizing::new(secret.to_owned()),
            session_token: session_token.map(|token| Zeroizing::new(token.to_owned())),
        }
    }

    /// Id, secret and session token: for handing it to another process.
    pub fn reveal(&self) -> (&str, &str, Option<&str>) {
        (&self.id, &self.secret, self.session_token.as_ref().map(|token| token.as_str()))
    }

    pub(super) fn credentials(&self) -> Credentials {
        let token = self.session_token.as_ref().map(|token| token.to_string());
        Credentials::new(&*self.id, &**self.secret, token, None, "tintype")
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").finish_non_exhaustive()
    }
}
