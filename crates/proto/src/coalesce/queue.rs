//! The segments that are held for a channel, most urgent first.
//!
//! They are sent one after the other, the earliest end first and each in the same time, so one pass of additions says
//! how long all of them can wait.

use super::note::Member;
use super::shards::Shards;
use crate::time::{Duration, Instant};

/// Segments that wait for one channel.
pub(super) const JOBS_MAX: usize = 64;

/// A segment that is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) segment: u32,
    /// When it should have been sent.
    pub(super) end_by: Instant,
    /// Whom that is for.
    pub(super) member: Member,
    /// Shards where requests wait for it, and those of them where more than one does.
    wants: Shards,
    company: Shards,
}

impl Job {
    /// Whether requests of at least two members wait for it.
    pub(super) fn has_company(&self) -> bool {
        self.wants.len() > 1 || !self.company.is_empty()
    }

    /// Shard `shard` has `waiters` for it from now on; whether anybody has.
    pub(super) fn is_wanted_by(&mut self, shard: u8, waiters: u16) -> bool {
        self.wants.set(shard, waiters > 0);
        self.company.set(shard, waiters > 1);
        !self.wants.is_empty()
    }
}

/// What became of a job that was to be put into a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    New,
    Known,
    /// There is no room.
    Refused,
}

/// At most [`JOBS_MAX`] jobs, the one with the earliest end first.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: Vec<Job>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { jobs: Vec::with_capacity(JOBS_MAX) }
    }

    /// `member`'s shard has `waiters` for `segment`, to be sent by `end_by`. Another shard's earlier end stays.
    pub(super) fn want(
        &mut self,
        segment: u32,
        end_by: Instant,
        member: Member,
        waiters: u16,
    ) -> Queued {
        let mut job =
            Job { segment, end_by, member, wants: Shards::default(), company: Shards::default() };
        let mut queued = Queued::New;
        if let Some(at) = self.find(segment) {
            let before = self.jobs.remove(at);
            queued = Queued::Known;
            job = if before.wants.is_within(member.shard) || end_by < before.end_by {
                Job { end_by, member, ..before }
            } else {
                before
            };
        }
        job.is_wanted_by(member.shard, waiters.max(1));
        if self.put(job) { queued } else { Queued::Refused }
    }

    /// Nobody in `shard` waits for `segment` any longer; whether a job went by that.
    pub(super) fn unwant(&mut self, segment: u32, shard: u8) -> bool {
        let Some(at) = self.find(segment) else { return false };
        let goes = !self.jobs[at].is_wanted_by(shard, 0);
        if goes {
            self.jobs.remove(at);
        }
        goes
    }

    /// Puts `job` where it belongs, if there is room.
    pub(super) fn put(&mut self, job: Job) -> bool {
        if self.jobs.len() >= JOBS_MAX {
            return false;
        }
        let at = self.jobs.partition_point(|other| other.end_by <= job.end_by);
        self.jobs.insert(at, job);
        true
    }

    /// The latest start of the first job by which all of them end in time, if each takes `takes`.
    pub(super) fn latest_start(&self, takes: Duration) -> Instant {
        let mut before = Duration::ZERO;
        let mut latest = Instant::FAR_FUTURE;
        for job in &self.jobs {
            before = before.saturating_add(takes);
            latest = latest.min(job.end_by - before);
        }
        latest
    }

    /// The most urgent one.
    pub(super) fn pop(&mut self) -> Option<Job> {
        (!self.jobs.is_empty()).then(|| self.jobs.remove(0))
    }

    /// Takes out those for segments from `first` on and below `end`.
    pub(super) fn take(&mut self, first: u32, end: u32) -> Vec<Job> {
        self.jobs.extract_if(.., |job| (first..end).contains(&job.segment)).collect()
    }

    fn find(&self, segment: u32) -> Option<usize> {
        self.jobs.iter().position(|job| job.segment == segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ReceiverIndex;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn member(shard: u8) -> Member {
        Member { shard, session: ReceiverIndex::new(7, shard) }
    }

    #[test]
    fn the_latest_start_is_that_of_the_whole_backlog() {
        let takes = Duration::from_millis(400);
        let mut queue = Queue::new();
        assert_eq!(queue.latest_start(takes), Instant::FAR_FUTURE);
        queue.want(1, at(10_000), member(0), 1);
        assert_eq!(queue.latest_start(takes), at(9_600));
        // Three that end at nearly the same time: the first must leave earlier than its own end says.
        queue.want(2, at(10_100), member(0), 1);
        queue.want(3, at(10_200), member(0), 1);
        assert_eq!(queue.latest_start(takes), at(9_000));
        // One that ends much later takes nothing from them.
        queue.want(4, at(90_000), member(0), 1);
        assert_eq!(queue.latest_start(takes), at(9_000));
        let order: Vec<_> = core::iter::from_fn(|| queue.pop()).map(|job| job.segment).collect();
        assert_eq!(order, [1, 2, 3, 4]);
    }

    #[test]
    fn an_end_moves_forward_for_all_and_back_only_for_a_shard_that_waits_alone() {
        let mut queue = Queue::new();
        queue.want(1, at(900), member(0), 1);
        assert_eq!(queue.want(1, at(950), member(0), 1), Queued::Known);
        assert_eq!(queue.latest_start(Duration::ZERO), at(950));
        queue.want(1, at(800), member(1), 1);
        queue.want(1, at(990), member(0), 1);
        assert_eq!(queue.latest_start(Duration::ZERO), at(800));
        assert_eq!(queue.pop().map(|job| job.member), Some(member(1)));
    }

    #[test]
    fn company_is_two_in_one_shard_or_one_in_each_of_two() {
        let mut queue = Queue::new();
        let company = |queue: &Queue| queue.jobs[0].has_company();
        queue.want(1, at(900), member(0), 1);
        assert!(!company(&queue));
        queue.want(1, at(900), member(0), 2);
        assert!(company(&queue));
        queue.want(1, at(900), member(0), 1);
        assert!(!company(&queue));
        queue.want(1, at(900), member(1), 1);
        assert!(company(&queue));
        assert!(!queue.unwant(1, 0));
        assert!(!company(&queue));
        assert!(queue.unwant(1, 1) && !queue.unwant(1, 1));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn a_full_queue_refuses_what_is_new() {
        let mut queue = Queue::new();
        for segment in 0..JOBS_MAX as u32 {
            assert_eq!(queue.want(segment, at(100), member(0), 1), Queued::New);
        }
        assert_eq!(queue.want(64, at(1), member(0), 1), Queued::Refused);
        assert_eq!(queue.want(63, at(1), member(0), 1), Queued::Known);
        assert_eq!(queue.take(10, 12).len(), 2);
        assert_eq!(queue.want(64, at(1), member(0), 1), Queued::New);
    }
}
