//! Memory at rest: of a node that has no peers, and of one with many idle links. The daemon is started anew for each run,
//! so that nothing counts but what it holds then.

use crate::crowd::{self, Crowd};
use crate::{Bench, Failure, daemons, machine, results::Results};
use aldis_node::demo::process::Process;

/// A node without peers and the crowd's take turns.
pub(crate) async fn measure(bench: &Bench, crowd: &mut Crowd, results: &mut Results) -> Result<(), Failure> {
    let dir = bench.run_dir()?;
    let mut alone = daemons::made(&bench.daemon, dir.path(), "cert.alone", "BR").await?;
    for run in 0..bench.runs {
        bench.progress("idle", run);
        alone.start().await?;
        let alone_mib = at_rest(&alone).await?;
        alone.stop().await?;
        crowd.node.stop().await?;
        crowd.node.start().await?;
        crowd.linked().await?;
        let linked_mib = at_rest(&crowd.node).await?;
        let per_link_kib = crowd::kib_per_peer(linked_mib - alone_mib);
        results.add("idle", None, &[("resident_mib", alone_mib)]);
        results.add("idle", crowd::SETTING, &[("resident_mib", linked_mib), ("per_link_kib", per_link_kib)]);
    }
    Ok(())
}

async fn at_rest(node: &Process) -> Result<f64, Failure> {
    daemons::settled().await;
    machine::resident_mib(daemons::pid(node)?)
}
