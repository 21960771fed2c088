//! A ledger in a ConfigMap: as JSON that people can read, and compressed when it is large, because a ConfigMap holds one
//! mebibyte and etcd keeps every version for some minutes.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use tetrarch_core::capacity::Ledger;

/// Key of the readable form.
const PLAIN: &str = "ledger";

/// Key of the compressed form.
const COMPRESSED: &str = "ledger.gz";

/// Longest JSON that is kept readable, in bytes.
const LONGEST_PLAIN: usize = 64 * 1024;

/// Longest JSON that is unpacked, in bytes: far more than fits in compressed form.
const LONGEST_UNPACKED: u64 = 64 * 1024 * 1024;

/// Why a ConfigMap holds no ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither form is there.
    #[error("it has neither data.{PLAIN} nor binaryData.{COMPRESSED}")]
    Missing,
    /// The compressed form is damaged.
    #[error("{COMPRESSED}: {0}")]
    Damaged(#[from] io::Error),
    /// It is no ledger.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Puts a ledger into a ConfigMap.
pub fn write(ledger: &Ledger, object: &mut ConfigMap) -> Result<(), Error> {
    let json = serde_json::to_string(ledger)?;
    if json.len() <= LONGEST_PLAIN {
        object.data = Some(BTreeMap::from([(PLAIN.to_owned(), json)]));
        return Ok(());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json.as_bytes())?;
    object.binary_data = Some(BTreeMap::from([(COMPRESSED.to_owned(), ByteString(encoder.finish()?))]));
    Ok(())
}

/// The ledger in a ConfigMap.
pub fn read(object: &ConfigMap) -> Result<Ledger, Error> {
    if let Some(json) = object.data.as_ref().and_then(|data| data.get(PLAIN)) {
        return Ok(serde_json::from_str(json)?);
    }
    let compressed = object.binary_data.as_ref().and_then(|data| data.get(COMPRESSED)).ok_or(Error::Missing)?;
    let mut json = String::new();
    GzDecoder::new(compressed.0.as_slice()).take(LONGEST_UNPACKED).read_to_string(&mut json)?;
    Ok(serde_json::from_str(&json)?)
}

/// Bytes that a ConfigMap with a ledger takes in etcd, roughly.
pub fn size(object: &ConfigMap) -> usize {
    let plain = object.data.iter().flatten().map(|(_, text)| text.len());
    let compressed = object.binary_data.iter().flatten().map(|(_, bytes)| bytes.0.len() * 4 / 3);
    plain.chain(compressed).sum()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tetrarch_core::capacity::{Amounts, Declared, Key, Observed, Resource, settle};

    use super::*;

    fn ledger(pools: u128) -> Ledger {
        let object = |key: Key, uid: u128| Observed {
            // As uids are: nothing in them can be compressed but their alphabet.
            uid: format!("{:032x}", uid.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)),
            generation: 1,
            declared: Declared {
                parents: vec![
                    Key::supervisor("compliance", "default"),
                    Key::domain("compliance"),
                    Key::orchestrator("acme"),
                ],
                own: Amounts::NONE.with(Resource::Agents, 10).with(Resource::Memory, 1 << 30),
                ..Declared::default()
            },
            key,
        };
        let mut ledger = Ledger::default();
        let pools = (0..pools).map(|index| object(Key::pool("compliance", format!("classifier-{index}")), index + 1));
        settle(&mut ledger, pools, Timestamp::UNIX_EPOCH);
        ledger
    }

    #[test]
    fn a_small_ledger_can_be_read_by_people() {
        let mut object = ConfigMap::default();
        write(&ledger(3), &mut object).unwrap();
        assert!(object.data.as_ref().unwrap()[PLAIN].contains("classifier-2"));
        assert_eq!(read(&object).unwrap(), ledger(3));
    }

    #[test]
    fn a_ledger_of_ten_thousand_pools_fits_into_a_config_map() {
        let mut object = ConfigMap::default();
        write(&ledger(10_000), &mut object).unwrap();
        assert!(size(&object) < 1024 * 1024, "{} bytes", size(&object));
        assert_eq!(read(&object).unwrap(), ledger(10_000));
    }

    #[test]
    fn what_is_no_ledger_is_told_apart_from_an_empty_one() {
        assert!(matches!(read(&ConfigMap::default()), Err(Error::Missing)));
        let text = |text: &str| ConfigMap {
            data: Some(BTreeMap::from([(PLAIN.to_owned(), text.to_owned())])),
            ..ConfigMap::default()
        };
        assert!(matches!(read(&text("{}")), Err(Error::Json(_))));
        let cut = ConfigMap {
            binary_data: Some(BTreeMap::from([(COMPRESSED.to_owned(), ByteString(vec![31, 139, 8]))])),
            ..ConfigMap::default()
        };
        assert!(matches!(read(&cut), Err(Error::Damaged(_))));
    }
}
