//! Who may do what on the bus: keys, signed claims, credentials and the server's certificate; and the certificate of the webhook.
//!
//! Everything below a hierarchy's root keys is derived from them: the key of a Domain's account from the root seed and the
//! Domain's uid, the key of a user from its account and the user's name. So nothing of it is stored a second time, applying it
//! again gives the same bytes, and a Domain that is created anew never sees the streams of an older one with its name.

pub mod bus_certificate;
pub mod certificate;
pub mod claims;
pub mod key;
pub mod root;
pub mod secrets;
pub mod server_config;
pub mod webhook;

pub use key::AccountKey;
pub use root::Root;
