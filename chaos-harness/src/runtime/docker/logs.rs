//! The last lines that a container has written.

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures::TryStreamExt;

use super::client::engine;
use crate::runtime::RuntimeError;
use crate::runtime::last_lines::{LastLines, LineCutter};
use crate::topology::InstanceId;

/// The last `lines` that the container `name` of an instance has written, of both its streams.
pub(super) async fn last(
    docker: &Docker,
    id: &InstanceId,
    name: &str,
    lines: usize,
) -> Result<Vec<String>, RuntimeError> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
    let mut pieces = docker.logs(name, Some(options));
    let (mut kept, mut out, mut err) = (LastLines::default(), LineCutter::default(), LineCutter::default());
    while let Some(piece) = pieces.try_next().await.map_err(engine(format!("read the logs of {id}")))? {
        let cutter = if matches!(piece, LogOutput::StdErr { .. }) { &mut err } else { &mut out };
        cutter.feed(piece.as_ref(), &mut kept);
    }
    out.end(&mut kept);
    err.end(&mut kept);
    Ok(kept.last(lines))
}
