//! HDR interval log: every second's histograms, one tag for each, for the tools that read such logs.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::collector::ClosedSecond;
use crate::result::Series;

/// Writes a log, one second after the other. The first error ends it and is told by [`Hlog::finish`]: a full disk must
/// not end a run.
pub struct Hlog {
    path: PathBuf,
    file: BufWriter<File>,
    serializer: V2DeflateSerializer,
    error: Option<io::Error>,
}

impl fmt::Debug for Hlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hlog").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Hlog {
    /// A new log at `path` of a run that begins at `started`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, started: SystemTime) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut serializer = V2DeflateSerializer::new();
        // Times of intervals are from here on; a base time besides would add up with it in some readers.
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("segcast load: microseconds; one tag for each class, quantity and basis")
            .with_start_time(started)
            .begin_log_with(&mut file, &mut serializer)?;
        writeln!(
            file,
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
        )?;
        file.flush()?;
        Ok(Self { path: path.to_owned(), file, serializer, error: None })
    }

    /// Writes what was timed in a second.
    pub fn write(&mut self, second: &ClosedSecond) {
        if self.error.is_none() {
            self.error = self.try_write(second).err();
        }
    }

    fn try_write(&mut self, second: &ClosedSecond) -> io::Result<()> {
        // Without headers it begins with nothing, so that each second may have a writer of its own.
        let mut writer =
            IntervalLogWriterBuilder::new().begin_log_with(&mut self.file, &mut self.serializer)?;
        let start = Duration::from_secs(second.figures.second.into());
        for series in Series::all() {
            let times = series.times(&second.sums);
            let name = series.to_string();
            if !times.is_empty() {
                let tag = Tag::new(&name);
                let written = writer.write_histogram(&times, start, Duration::from_secs(1), tag);
                written.map_err(|error| io::Error::other(error.to_string()))?;
            }
        }
        self.file.flush()
    }

    /// Ends the log.
    ///
    /// # Errors
    /// When something of it could not be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.error.take().map_or_else(|| self.file.flush(), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::example;

    #[test]
    fn a_log_reads_back_as_what_was_recorded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run.hlog");
        let mut log = Hlog::create(&path, SystemTime::UNIX_EPOCH).expect("a log");
        let mut collector = example::collector();
        for interval in example::intervals(1) {
            collector.add(&interval);
            while let Some(second) = collector.next_closed() {
                log.write(&second);
                collector.recycle(second);
            }
        }
        while let Some(second) = collector.next_open() {
            log.write(&second);
            collector.recycle(second);
        }
        log.finish().expect("all was written");
        let text = std::fs::read(&path).expect("the log");
        let mut read: BTreeMap<String, Histogram<u64>> = BTreeMap::new();
        let mut seconds = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            let LogEntry::Interval(entry) = entry.expect("a line of the format") else { continue };
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(entry.encoded_histogram())
                .expect("base64");
            let mut deserializer = Deserializer::new();
            let times: Histogram<u64> =
                deserializer.deserialize(&mut bytes.as_slice()).expect("a histogram");
            let tag = entry.tag().expect("a tag").as_str().to_owned();
            seconds.push(entry.start_timestamp().as_secs());
            read.entry(tag)
                .or_insert_with(|| Histogram::new(3).expect("3 digits"))
                .add(&times)
                .expect("it resizes");
        }
        assert!(seconds.is_sorted());
        for series in Series::all() {
            let recorded = series.times(collector.all());
            let found = read.get(&series.to_string()).map_or(0, Histogram::len);
            assert_eq!(found, recorded.len(), "{series}");
            if found > 0 {
                let found = &read[&series.to_string()];
                assert_eq!(
                    found.value_at_quantile(0.9),
                    recorded.value_at_quantile(0.9),
                    "{series}"
                );
            }
        }
        assert!(read.contains_key("start.ttfb.response") && read.contains_key("next.lag"));
    }
}
