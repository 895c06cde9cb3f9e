//! Artifacts that are too large to be fetched: looked into by the parts that their format asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{CancelOnDrop, ExamineError, Examiner, guarded, judge};
use crate::artifact::{self, Limits, Report, Stop};
use crate::event::ArtifactRef;
use crate::sources::{Parts, Store, StoreError};

impl Examiner {
    /// Facts of an artifact by parts of its bytes, within the budget and the time of an inspection; nothing is hashed.
    /// `None` where the store offers no parts of it.
    #[tracing::instrument(name = "examine_parts", skip_all, fields(source = %artifact.store))]
    pub async fn parts(&self, store: &dyn Store, artifact: &ArtifactRef) -> Result<Option<Report>, ExamineError> {
        let turn = self.lanes.turn(None).await;
        let turn = turn.ok_or_else(|| ExamineError::Again("the agent is stopping".into()))?;
        let given_up = Arc::new(AtomicBool::new(false));
        let _guard = CancelOnDrop(Arc::clone(&given_up));
        // What was found until the time is over is told: so reading ends before the thread is given up.
        let (began, most, nobody) = (Instant::now(), self.timeout.saturating_mul(4) / 5, Arc::clone(&given_up));
        let stop = Stop::when(move || nobody.load(Ordering::Relaxed) || began.elapsed() > most);
        let opened = store.parts(artifact, self.limits.parts_bytes_max, stop.clone()).await;
        let Some(parts) = opened.map_err(|error| judge(&error))? else { return Ok(None) };
        let (name, source) = (artifact.path.clone(), artifact.store.clone());
        let work = move |examiner: &Self, _: &Arc<AtomicBool>| {
            let limits = Limits { stop, ..Limits::clone(&examiner.limits) };
            let report =
                guarded(|| artifact::inspect_parts(&*parts, &name, &limits)).unwrap_or_else(|| examiner.bug(&name));
            let (metrics, spent) = (&examiner.metrics, parts.spent());
            metrics.parts_requests.with_label_values(&[&source]).inc_by(spent.requests);
            metrics.parts_bytes.with_label_values(&[&source]).inc_by(spent.bytes);
            if given_up.load(Ordering::Relaxed) {
                return Err(ExamineError::Again("stopped".to_owned()));
            }
            whole_story(&*parts, &limits.stop)?;
            metrics.artifacts_in_parts.with_label_values(&[&source]).inc();
            metrics.artifacts_inspected.with_label_values(&[report.format.as_str()]).inc();
            Ok(Some(report))
        };
        self.on_thread(Some(turn), self.timeout, work).await
    }
}

/// Whether what was read can be told: it is of one artifact, and whatever of it is missing will not come by asking again.
fn whole_story(parts: &dyn Parts, stop: &Stop) -> Result<(), ExamineError> {
    let nothing = parts.spent().bytes == 0;
    let failure = parts.failure();
    match &failure {
        Some(error @ (StoreError::Gone | StoreError::Denied(_) | StoreError::Transient(_))) => Err(judge(error)),
        // A store refuses to go on with what was replaced, too.
        _ if !parts.unchanged() => Err(ExamineError::Moving("it changed while it was looked into".to_owned())),
        Some(error @ StoreError::Refused(_)) if nothing => Err(judge(error)),
        None if nothing && stop.now() => Err(ExamineError::Refused("no byte of it came in time".to_owned())),
        // That some of it could not be read is among the facts.
        Some(StoreError::Refused(_)) | None => Ok(()),
    }
}
