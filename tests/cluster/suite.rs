//! Runs the tests on one cluster, which the first of them starts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use crate::cluster::{Cluster, Mark};
use crate::world;

/// What a test may do to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Use it beside other tests.
    Shared,
    /// Stop its daemons. Nothing else uses it meanwhile, and afterwards everything is started again.
    Alone,
    /// As alone, and only where it is asked for by name and `--ignored`: it takes minutes.
    Long,
}

/// The body of a test.
type Body = for<'a> fn(&'a Cluster) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A test on the cluster.
pub(crate) struct Test {
    pub name: &'static str,
    pub usage: Use,
    pub body: Body,
}

/// Makes the list of a file's tests: `tests![Shared: one, two; Alone: three]` of functions `async fn one(cluster: &Cluster)`.
macro_rules! tests {
    ($($usage:ident: $($name:ident),+);+ $(;)?) => {
        vec![$($(crate::suite::Test {
            name: concat!(module_path!(), "::", stringify!($name)),
            usage: crate::suite::Use::$usage,
            body: |cluster| Box::pin($name(cluster)),
        }),+),+]
    };
}
pub(crate) use tests;

/// Runs the tests that the arguments choose.
pub(crate) fn run(arguments: &Arguments, home: PathBuf, tests: Vec<Test>) -> ExitCode {
    let suite = Arc::new(Suite::new(home));
    let trials = tests.into_iter().map(|test| {
        let suite = Arc::clone(&suite);
        let name = test.name.split_once("::").map_or(test.name, |(_, name)| name);
        let is_long = test.usage == Use::Long;
        Trial::test(name, move || suite.run(&test)).with_ignored_flag(is_long)
    });
    let conclusion = libtest_mimic::run(arguments, trials.collect());
    world::thaw(&suite.home);
    conclusion.exit_code()
}

struct Suite {
    runtime: Runtime,
    home: PathBuf,
    /// The cluster, or nothing where it did not start.
    cluster: OnceLock<Option<Cluster>>,
    turn: RwLock<()>,
}

impl Suite {
    fn new(home: PathBuf) -> Self {
        let runtime = Runtime::new().expect("tokio starts");
        Self { runtime, home, cluster: OnceLock::new(), turn: RwLock::default() }
    }

    fn run(&self, test: &Test) -> Result<(), Failed> {
        let cluster =
            self.cluster.get_or_init(|| self.start()).as_ref().ok_or("the cluster did not start")?;
        match test.usage {
            Use::Shared => {
                let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
                self.try_on(cluster, test)
            }
            Use::Alone | Use::Long => {
                let _turn = self.turn.write().unwrap_or_else(PoisonError::into_inner);
                let result = self.try_on(cluster, test);
                // What has failed before is what there is to tell.
                let recovered = self.try_to("recover", || self.runtime.block_on(cluster.recover()));
                result.and(recovered)
            }
        }
    }

    fn start(&self) -> Option<Cluster> {
        let begin = Instant::now();
        let mark = Mark::now(&self.home);
        let start = AssertUnwindSafe(|| self.runtime.block_on(Cluster::start(&self.home)));
        let Ok(cluster) = catch_unwind(start) else {
            eprintln!("{}", mark.since());
            return None;
        };
        eprintln!("cluster: both nodes are ready after {:.1} s", begin.elapsed().as_secs_f64());
        Some(cluster)
    }

    fn try_on(&self, cluster: &Cluster, test: &Test) -> Result<(), Failed> {
        self.try_to(test.name, || self.runtime.block_on((test.body)(cluster)))
    }

    fn try_to(&self, what: &str, act: impl FnOnce()) -> Result<(), Failed> {
        let mark = Mark::now(&self.home);
        catch_unwind(AssertUnwindSafe(act)).map_err(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked");
            Failed::from(format!("{what}: {message}\n{}", mark.since()))
        })
    }
}
