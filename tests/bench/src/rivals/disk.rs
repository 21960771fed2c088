//! The disk under all sides: the time until a small record is safe, in the two ways in which the engines ask for it.
//!
//! A stream of NATS with `sync_interval: always` appends to its file and calls fsync, for which a journaling file system also
//! writes down that the file has grown. `RocksDB` (Restate) keeps its log in files whose room is there already and calls fdatasync,
//! which leaves that out.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    time::Instant,
};

use anyhow::Result;
use tempfile::TempDir;

use crate::quantile::{Sample, millis};

/// Records of each way.
const RECORDS: usize = 300;

/// Bytes of a record: about those of a task.
const RECORD: usize = 512;

/// Both ways, one record after the other, where the servers of all sides have their stores.
pub fn measure() -> Result<String> {
    let directory = TempDir::with_prefix("tetrarch-bench-")?;
    let (appended, overwritten) = (appended(&directory)?, overwritten(&directory)?);
    let tell = |sample: &Sample| format!("{} / {}", millis(sample.percentile(50)), millis(sample.percentile(99)));
    Ok(format!(
        "a record of {RECORD} bytes is safe after {} ms (p50 / p99) when it is appended and fsync is called, as NATS does; after {} ms when its room is there and fdatasync is called, as RocksDB does",
        tell(&appended),
        tell(&overwritten)
    ))
}

fn appended(directory: &TempDir) -> Result<Sample> {
    let mut file = File::create(directory.path().join("appended"))?;
    let mut sample = Sample::default();
    for _ in 0..RECORDS {
        let started = Instant::now();
        file.write_all(&[b'x'; RECORD])?;
        file.sync_all()?;
        sample.add(started.elapsed());
    }
    Ok(sample)
}

fn overwritten(directory: &TempDir) -> Result<Sample> {
    let path = directory.path().join("overwritten");
    std::fs::write(&path, vec![0; RECORDS * RECORD])?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.sync_all()?;
    let mut sample = Sample::default();
    for place in 0..RECORDS {
        let started = Instant::now();
        file.write_all_at(&[b'x'; RECORD], (place * RECORD) as u64)?;
        file.sync_data()?;
        sample.add(started.elapsed());
    }
    Ok(sample)
}
