//! The admin calls of librdkafka that its safe binding does not have, behind safe async functions.
//!
//! A request is a number: it travels through librdkafka as the request's opaque, and comes back with the event that
//! answers it. Who waits is found in a map by that number, so a caller that stops waiting leaks nothing, and an answer
//! that nobody waits for is freed where it arrives.
#![allow(unsafe_code, reason = "calls into librdkafka that no safe binding offers; every other file is safe")]

use super::client::link::Link;
use super::client::native::{Alteration, Change, Cluster, ConfigEdit, OwnedBinding, ScramUser, TopicFound};
use super::client::native::{Group, Member, NewTopic, Offset};
use super::client::poller::{Notice, Poller};
use super::client::trouble::{Cause, Trouble};
use super::client::words::{
    ANY, MECHANISMS, OPERATIONS, RESOURCES, binding, c_string, c_strings, expected, made, meaning,
};
use super::client::words::{edit_operation, no_memory, offset_spec, operations, pattern, permission, unanswered, word};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka_sys as sys;
use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Once};
use std::time::Duration;

type Rk = sys::rd_kafka_t;
type RkQueue = sys::rd_kafka_queue_t;
type Options = sys::rd_kafka_AdminOptions_t;
type RkEvent = sys::rd_kafka_event_t;
/// A function that gives the start and the length of a list.
type List<W, T> = unsafe extern "C" fn(*const W, *mut usize) -> *mut T;
/// The functions that give an event's answer, and the items of that answer.
type Parts<W, X> = (unsafe extern "C" fn(*mut RkEvent) -> *const W, List<W, *const X>);
/// rdkafka's own client, which tells us of its connections.
pub type Client = rdkafka::admin::AdminClient<Link>;
type Reply<T> = Result<T, Trouble>;

/// How long one request may take; a broken connection is told long before.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// DescribeAcls keeps every string of its answer on a thread's stack: 8 MB hold 20,000 ACLs, and more kill the process.
const STACK: usize = 256 << 20;

// A broker may send codes that the binding's enum lacks, and such a value must never become that enum.
unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut RkEvent) -> c_int;
    fn rd_kafka_topic_result_error(result: *const sys::rd_kafka_topic_result_t) -> c_int;
    fn rd_kafka_ConfigResource_error(resource: *const sys::rd_kafka_ConfigResource_t) -> c_int;
    fn rd_kafka_err2name(code: c_int) -> *const c_char;
    fn rd_kafka_err2str(code: c_int) -> *const c_char;
}

/// One client with its own queue and one thread that polls it. Every call fails as a whole if no broker answers in
/// time, none lets us in, or the principal may not ask; what is wrong with single items stands in the items.
/// The fields are dropped in this order: nothing that belongs to the client outlives it.
pub struct Admin {
    poller: Poller,
    queue: Arc<Queue>,
    pub(super) client: Client,
}

impl Admin {
    /// Makes a client; nothing is contacted yet. It fails on a configuration that librdkafka refuses.
    pub fn new(config: &ClientConfig) -> Reply<Self> {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        raise_stack();
        let client = Client::from_config_and_context(config, Link::of(config))?;
        let native = client.inner().native_ptr();
        // SAFETY: the client lives; a queue of its own is made, which `Queue` destroys before the client goes.
        let queue = Queue(NonNull::new(unsafe { sys::rd_kafka_queue_new(native) }).ok_or_else(no_memory)?);
        // SAFETY: both queues live. Errors and log lines of the main queue come to ours from then on.
        unsafe {
            let main = sys::rd_kafka_queue_get_main(native);
            sys::rd_kafka_queue_forward(main, queue.ptr());
            sys::rd_kafka_queue_destroy(main);
        }
        let queue = Arc::new(queue);
        let poller = Poller::start(Arc::clone(&queue), client.inner().context().clone())?;
        Ok(Self { poller, queue, client })
    }

    /// Who the cluster is and what the principal may do to it.
    pub async fn describe_cluster(&self) -> Reply<Cluster> {
        self.ask(
            // SAFETY: all three live. An error of the option is freed and otherwise of no matter.
            |client, options, queue| unsafe {
                let refused = sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
                sys::rd_kafka_error_destroy(refused);
                sys::rd_kafka_DescribeCluster(client, options, queue);
            },
            // SAFETY: the pointers come from the event, which outlives this closure.
            |event| unsafe {
                let result = expected(sys::rd_kafka_event_DescribeCluster_result(event))?;
                let id = text(sys::rd_kafka_DescribeCluster_result_cluster_id(result));
                let nodes = list(result, sys::rd_kafka_DescribeCluster_result_nodes);
                let broker_ids = nodes.iter().map(|node| sys::rd_kafka_Node_id(*node)).collect();
                let hosts = nodes.iter().map(|node| text(sys::rd_kafka_Node_host(*node)));
                let hosts = hosts.filter(|host| !host.is_empty()).collect();
                let mut count = 0;
                let first = sys::rd_kafka_DescribeCluster_result_authorized_operations(result, &raw mut count);
                let allowed = (!first.is_null()).then(|| operations(std::slice::from_raw_parts(first, count)));
                Ok(Cluster { id: Some(id).filter(|id| !id.is_empty()), broker_ids, hosts, allowed })
            },
        )
        .await
    }

    /// The ids of the brokers that are up.
    pub async fn broker_ids(&self) -> Reply<Vec<i32>> {
        let call = |client: *mut Rk, options: *mut Options, queue: *mut RkQueue| {
            // SAFETY: all three live.
            unsafe { sys::rd_kafka_DescribeCluster(client, options, queue) }
        };
        let parts = (sys::rd_kafka_event_DescribeCluster_result as _, sys::rd_kafka_DescribeCluster_result_nodes as _);
        // SAFETY: the node is a part of the answer.
        self.ask_list(call, parts, |node| unsafe { sys::rd_kafka_Node_id(node) }).await
    }

    /// Partitions and replicas of named topics, or why one of them cannot be read. Creates none of them.
    pub async fn describe_topics(&self, names: &[&str]) -> Reply<Vec<(String, Reply<TopicFound>)>> {
        let names = c_strings(names)?;
        // SAFETY: the names outlive the call, and librdkafka copies them.
        let call = move |client: *mut Rk, options: *mut Options, queue: *mut RkQueue| unsafe {
            let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            sys::rd_kafka_DescribeTopics(client, topics, options, queue);
            sys::rd_kafka_TopicCollection_destroy(topics);
        };
        let parts = (sys::rd_kafka_event_DescribeTopics_result as _, sys::rd_kafka_DescribeTopics_result_topics as _);
        self.ask_list(call, parts, read_topic).await
    }

    /// Creates topics, or only lets the broker judge them; one result for each, in order, in the broker's own words.
    pub async fn create_topics(&self, topics: &[NewTopic<'_>], validate_only: bool) -> Reply<Vec<Reply<()>>> {
        let call = trial(validate_only, new_topics(topics)?.given_to(sys::rd_kafka_CreateTopics));
        let parts = (sys::rd_kafka_event_CreateTopics_result as _, sys::rd_kafka_CreateTopics_result_topics as _);
        self.ask_each(topics.len(), call, parts, topic_result).await
    }

    /// Gives topics more partitions (this many in all), or only lets the broker judge it; results as of a creation.
    pub async fn create_partitions(&self, grown: &[(&str, usize)], validate_only: bool) -> Reply<Vec<Reply<()>>> {
        let call = trial(validate_only, new_partitions(grown)?.given_to(sys::rd_kafka_CreatePartitions));
        let parts =
            (sys::rd_kafka_event_CreatePartitions_result as _, sys::rd_kafka_CreatePartitions_result_topics as _);
        self.ask_each(grown.len(), call, parts, topic_result).await
    }

    /// Deletes topics; one result for each, in order.
    pub async fn delete_topics(&self, names: &[&str]) -> Reply<Vec<Reply<()>>> {
        let mut natives = Natives(Vec::with_capacity(names.len()), sys::rd_kafka_DeleteTopic_destroy);
        for name in names {
            let name = c_string(name)?;
            // SAFETY: the name outlives the call, and librdkafka copies it.
            natives.0.push(made(unsafe { sys::rd_kafka_DeleteTopic_new(name.as_ptr()) })?);
        }
        let parts = (sys::rd_kafka_event_DeleteTopics_result as _, sys::rd_kafka_DeleteTopics_result_topics as _);
        self.ask_each(names.len(), natives.given_to(sys::rd_kafka_DeleteTopics), parts, topic_result).await
    }

    /// An offset of each partition, and for [`Offset::LastTimestamp`] a time: milliseconds since 1970, -1 if there is
    /// no message. No partition may be named twice.
    pub async fn list_offsets(&self, partitions: &[(&str, i32)], at: Offset) -> Reply<Vec<(String, i32, Reply<i64>)>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let natives = partition_list(partitions, offset_spec(at))?;
        let call = move |client: *mut Rk, options: *mut Options, queue: *mut RkQueue| {
            for list in &natives.0 {
                // SAFETY: the list outlives the call, and librdkafka copies it.
                unsafe { sys::rd_kafka_ListOffsets(client, *list, options, queue) }
            }
        };
        let parts = (sys::rd_kafka_event_ListOffsets_result as _, sys::rd_kafka_ListOffsets_result_infos as _);
        // SAFETY: the partition is a part of the living item.
        let read = move |one: *const sys::rd_kafka_ListOffsetsResultInfo_t| unsafe {
            let (topic, partition, offset) = placed(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(one));
            let time = sys::rd_kafka_ListOffsetsResultInfo_timestamp(one);
            (topic, partition, offset.map(|offset| if at == Offset::LastTimestamp { time } else { offset }))
        };
        self.ask_list(call, parts, read).await
    }

    /// Names of all consumer groups that the principal may see. It fails if one broker did not tell its own.
    pub async fn list_groups(&self) -> Reply<Vec<String>> {
        self.ask(
            // SAFETY: all three live.
            |client, options, queue| unsafe { sys::rd_kafka_ListConsumerGroups(client, options, queue) },
            // SAFETY: as in `ask_items`; the result's parts live as long as it.
            |event| unsafe {
                let result = expected(sys::rd_kafka_event_ListConsumerGroups_result(event))?;
                for error in list(result, sys::rd_kafka_ListConsumerGroups_result_errors) {
                    item(*error)?;
                }
                let groups = list(result, sys::rd_kafka_ListConsumerGroups_result_valid).iter();
                let names = groups.map(|one| text(sys::rd_kafka_ConsumerGroupListing_group_id(*one)));
                // A group that just moved is told by two brokers.
                Ok(names.collect::<BTreeSet<String>>().into_iter().collect())
            },
        )
        .await
    }

    /// State and members of groups, in the order of their names, none of them twice.
    pub async fn describe_groups(&self, names: &[&str]) -> Reply<Vec<Reply<Group>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let call = given_names(names, sys::rd_kafka_DescribeConsumerGroups)?;
        let parts = (
            sys::rd_kafka_event_DescribeConsumerGroups_result as _,
            sys::rd_kafka_DescribeConsumerGroups_result_groups as _,
        );
        self.ask_each(names.len(), call, parts, read_group).await
    }

    /// Topic, partition and offset of all that a group has committed.
    pub async fn group_offsets(&self, group: &str) -> Reply<Vec<(String, i32, i64)>> {
        let group = c_string(group)?;
        // SAFETY: null stands for all partitions; librdkafka copies the name.
        let native = made(unsafe { sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), ptr::null()) })?;
        let natives = Natives(vec![native], sys::rd_kafka_ListConsumerGroupOffsets_destroy);
        let parts = (
            sys::rd_kafka_event_ListConsumerGroupOffsets_result as _,
            sys::rd_kafka_ListConsumerGroupOffsets_result_groups as _,
        );
        // SAFETY: error and partitions are parts of the living item.
        let read = |one: *const sys::rd_kafka_group_result_t| unsafe {
            item(sys::rd_kafka_group_result_error(one))?;
            let partitions = placed_all(sys::rd_kafka_group_result_partitions(one)).into_iter();
            partitions.map(|(topic, partition, offset)| Ok((topic, partition, offset?))).collect::<Reply<Vec<_>>>()
        };
        let call = natives.given_to(sys::rd_kafka_ListConsumerGroupOffsets);
        let committed = self.ask_each(1, call, parts, read).await?.pop().unwrap_or_else(|| Err(unanswered()))?;
        // Less than zero stands for none.
        Ok(committed.into_iter().filter(|(_, _, offset)| *offset >= 0).collect())
    }

    /// All ACLs, or those of one principal (`User:mail-agent`), wildcards of the principal not included. librdkafka
    /// 2.12 drops the error of this call: an empty list may be a refusal, or a broker with no authorizer.
    pub async fn describe_acls(&self, principal: Option<&str>) -> Reply<Vec<OwnedBinding>> {
        let filter = any_acl_of(principal)?;
        let call = move |client: *mut Rk, options: *mut Options, queue: *mut RkQueue| {
            for filter in &filter.0 {
                // SAFETY: the filter outlives the call, and librdkafka copies it.
                unsafe { sys::rd_kafka_DescribeAcls(client, *filter, options, queue) }
            }
        };
        let parts = (sys::rd_kafka_event_DescribeAcls_result as _, sys::rd_kafka_DescribeAcls_result_acls as _);
        self.ask_list(call, parts, read_binding).await
    }

    /// Creates ACLs; one result for each, in order. One that exists already succeeds.
    pub async fn create_acls(&self, acls: &[OwnedBinding]) -> Reply<Vec<Reply<()>>> {
        let call = bindings(acls)?.given_to(sys::rd_kafka_CreateAcls);
        let parts = (sys::rd_kafka_event_CreateAcls_result as _, sys::rd_kafka_CreateAcls_result_acls as _);
        // SAFETY: the error is a part of the result.
        self.ask_each(acls.len(), call, parts, |one| unsafe { item(sys::rd_kafka_acl_result_error(one)) }).await
    }

    /// Deletes exactly these ACLs; one result for each, in order. One that does not exist succeeds.
    pub async fn delete_acls(&self, acls: &[OwnedBinding]) -> Reply<Vec<Reply<()>>> {
        // A binding is a filter that matches only itself.
        let call = bindings(acls)?.given_to(sys::rd_kafka_DeleteAcls);
        let parts = (sys::rd_kafka_event_DeleteAcls_result as _, sys::rd_kafka_DeleteAcls_result_responses as _);
        // SAFETY: the error is a part of the result.
        let read = |one: *const sys::rd_kafka_DeleteAcls_result_response_t| unsafe {
            item(sys::rd_kafka_DeleteAcls_result_response_error(one))
        };
        self.ask_each(acls.len(), call, parts, read).await
    }

    /// The SCRAM credentials of named users (at least one). Users that do not exist are left out.
    pub async fn describe_users(&self, names: &[&str]) -> Reply<Vec<ScramUser>> {
        let call = given_names(names, sys::rd_kafka_DescribeUserScramCredentials)?;
        let parts = (
            sys::rd_kafka_event_DescribeUserScramCredentials_result as _,
            sys::rd_kafka_DescribeUserScramCredentials_result_descriptions as _,
        );
        self.ask_list(call, parts, read_user).await?.into_iter().filter_map(Result::transpose).collect()
    }

    /// Sets and removes SCRAM credentials; the result of each user.
    pub async fn alter_users(&self, alterations: &[Alteration<'_>]) -> Reply<HashMap<String, Reply<()>>> {
        let call = native_alterations(alterations)?.given_to(sys::rd_kafka_AlterUserScramCredentials);
        let parts = (
            sys::rd_kafka_event_AlterUserScramCredentials_result as _,
            sys::rd_kafka_AlterUserScramCredentials_result_responses as _,
        );
        // SAFETY: name and error are parts of the response.
        let read = |one: *const sys::rd_kafka_AlterUserScramCredentials_result_response_t| unsafe {
            let user = text(sys::rd_kafka_AlterUserScramCredentials_result_response_user(one));
            (user, item(sys::rd_kafka_AlterUserScramCredentials_result_response_error(one)))
        };
        Ok(self.ask_list(call, parts, read).await?.into_iter().collect())
    }

    /// Sets (`Some`) and resets (`None`) single configs of topics and leaves all others; the result of each topic.
    pub async fn alter_topic_configs(&self, edits: &[ConfigEdit<'_>]) -> Reply<HashMap<String, Reply<()>>> {
        let call = native_edits(edits)?.given_to(sys::rd_kafka_IncrementalAlterConfigs);
        let parts = (
            sys::rd_kafka_event_IncrementalAlterConfigs_result as _,
            sys::rd_kafka_IncrementalAlterConfigs_result_resources as _,
        );
        // SAFETY: name and error are parts of the resource.
        let read = |one: *const sys::rd_kafka_ConfigResource_t| unsafe {
            let done = coded(rd_kafka_ConfigResource_error(one), sys::rd_kafka_ConfigResource_error_string(one));
            (text(sys::rd_kafka_ConfigResource_name(one)), done)
        };
        Ok(self.ask_list(call, parts, read).await?.into_iter().collect())
    }

    /// Asks, and reads every item of the answer; `read` gets pointers to living items.
    fn ask_list<W, X, R>(
        &self,
        call: impl FnOnce(*mut Rk, *mut Options, *mut RkQueue),
        parts: Parts<W, X>,
        read: impl Fn(*const X) -> R,
    ) -> impl Future<Output = Reply<Vec<R>>> {
        let items = self.ask_items(call, parts, read);
        async { Ok(items.await?.into_iter().flatten().collect()) }
    }

    /// The same for an answer that has an item for each thing that was asked for, in that order.
    fn ask_each<W, X, R>(
        &self,
        count: usize,
        call: impl FnOnce(*mut Rk, *mut Options, *mut RkQueue),
        parts: Parts<W, X>,
        read: impl Fn(*const X) -> Reply<R>,
    ) -> impl Future<Output = Reply<Vec<Reply<R>>>> {
        let items = self.ask_items(call, parts, read);
        async move {
            let mut items = items.await?;
            items.resize_with(count, || None);
            Ok(items.into_iter().map(|item| item.unwrap_or_else(|| Err(unanswered()))).collect())
        }
    }

    /// The same, with `None` for what the broker left out: librdkafka leaves a hole in its place.
    fn ask_items<W, X, R>(
        &self,
        call: impl FnOnce(*mut Rk, *mut Options, *mut RkQueue),
        (whole, items): Parts<W, X>,
        read: impl Fn(*const X) -> R,
    ) -> impl Future<Output = Reply<Vec<Option<R>>>> {
        // SAFETY: the answer and its items live as long as the event; the answer to another question is null.
        self.ask(call, move |event| unsafe {
            let items = list(expected(whole(event))?, items).iter();
            Ok(items.map(|one| (!one.is_null()).then(|| read(*one))).collect())
        })
    }

    /// Hands a request to librdkafka, which answers it in any case, if only by a time-out, and reads the answer.
    fn ask<T>(
        &self,
        call: impl FnOnce(*mut Rk, *mut Options, *mut RkQueue),
        read: impl FnOnce(*mut RkEvent) -> Reply<T>,
    ) -> impl Future<Output = Reply<T>> {
        let ticket = self.poller.ticket();
        let client = self.client.inner().native_ptr();
        let limit = c_int::try_from(PATIENCE.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: client and queue live. The options live until they are destroyed below; librdkafka copies them in
        // the call. The opaque is a number that is never followed as a pointer.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ANY);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, limit, ptr::null_mut(), 0);
            // Without it librdkafka would call topics that the broker has not finished with successes.
            sys::rd_kafka_AdminOptions_set_operation_timeout(options, limit / 2, ptr::null_mut(), 0);
            sys::rd_kafka_AdminOptions_set_opaque(options, ptr::without_provenance_mut::<c_void>(ticket.number));
            call(client, options, self.queue.ptr());
            sys::rd_kafka_AdminOptions_destroy(options);
        }
        let link = self.client.inner().context().clone();
        async move {
            let event = ticket.wait(&link).await?;
            event.check(&link)?;
            read(event.ptr())
        }
    }
}

/// A queue of the client.
pub struct Queue(NonNull<RkQueue>);

// SAFETY: librdkafka's queues may be used from any thread, and by several at once.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    fn ptr(&self) -> *mut RkQueue {
        self.0.as_ptr()
    }

    /// Waits a moment for what comes next.
    pub fn poll(&self, patience: Duration) -> Option<Notice> {
        let patience = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the queue lives, and a polled event is ours. The opaque of an answer is the number of its request.
        unsafe {
            let event = Event(NonNull::new(sys::rd_kafka_queue_poll(self.ptr(), patience))?);
            Some(match sys::rd_kafka_event_type(event.ptr()) {
                sys::RD_KAFKA_EVENT_ERROR => {
                    let error = rdkafka::error::KafkaError::Global(sys::rd_kafka_event_error(event.ptr()).into());
                    Notice::Error(error, text(sys::rd_kafka_event_error_string(event.ptr())))
                }
                sys::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
                    sys::rd_kafka_event_log(event.ptr(), &raw mut facility, &raw mut line, &raw mut level);
                    Notice::Log(text(facility), text(line))
                }
                _ => Notice::Answer(sys::rd_kafka_event_opaque(event.ptr()).addr(), event),
            })
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_queue_new, and destroyed once. What still lies in it is freed with it.
        unsafe { sys::rd_kafka_queue_destroy(self.ptr()) }
    }
}

/// An answer, until it is dropped.
pub struct Event(NonNull<RkEvent>);

// SAFETY: an event belongs to whoever polled it, and is bound to no thread.
unsafe impl Send for Event {}

impl Event {
    fn ptr(&self) -> *mut RkEvent {
        self.0.as_ptr()
    }

    /// Whether the whole request failed.
    fn check(&self, link: &Link) -> Reply<()> {
        // SAFETY: the event lives.
        let whole = unsafe {
            let code = rd_kafka_event_error(self.ptr());
            let constant = self.has_stray_text().then(|| rd_kafka_err2str(code));
            coded(code, constant.unwrap_or_else(|| sys::rd_kafka_event_error_string(self.ptr())))
        };
        whole.map_err(|trouble| link.explain(trouble))
    }

    /// When a broker refuses DescribeUserScramCredentials as a whole, librdkafka 2.12 points the event to a text that
    /// is gone or constant, and would free that with the event: it must be neither read nor destroyed.
    fn has_stray_text(&self) -> bool {
        // SAFETY: the event lives. Codes of brokers are positive or -1; those of librdkafka (sound texts) are less.
        let (kind, code) = unsafe { (sys::rd_kafka_event_type(self.ptr()), rd_kafka_event_error(self.ptr())) };
        kind == sys::RD_KAFKA_EVENT_DESCRIBEUSERSCRAMCREDENTIALS_RESULT && (code > 0 || code == -1)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if !self.has_stray_text() {
            // SAFETY: polled once, destroyed once.
            unsafe { sys::rd_kafka_event_destroy(self.ptr()) }
        }
    }
}

/// Native objects that are destroyed with the list.
struct Natives<T>(Vec<*mut T>, unsafe extern "C" fn(*mut T));

impl<T> Natives<T> {
    /// Hands the whole list to an admin call; librdkafka copies it.
    fn given_to(
        mut self,
        call: unsafe extern "C" fn(*mut Rk, *mut *mut T, usize, *const Options, *mut RkQueue),
    ) -> impl FnOnce(*mut Rk, *mut Options, *mut RkQueue) {
        // SAFETY: `ask` gives a client, options and a queue that live, and the list outlives the call.
        move |client, options, queue| unsafe { call(client, self.0.as_mut_ptr(), self.0.len(), options, queue) }
    }
}

impl<T> Drop for Natives<T> {
    fn drop(&mut self) {
        for native in self.0.drain(..) {
            // SAFETY: each was made by librdkafka for this list, and is destroyed once by its own function.
            unsafe { (self.1)(native) }
        }
    }
}

/// Hands names to an admin call; librdkafka copies them.
fn given_names(
    names: &[&str],
    call: unsafe extern "C" fn(*mut Rk, *mut *const c_char, usize, *const Options, *mut RkQueue),
) -> Reply<impl FnOnce(*mut Rk, *mut Options, *mut RkQueue) + use<>> {
    let names = c_strings(names)?;
    // SAFETY: `ask` gives a client, options and a queue that live, and the names outlive the call.
    Ok(move |client: *mut Rk, options: *mut Options, queue: *mut RkQueue| unsafe {
        let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        call(client, names.as_mut_ptr(), names.len(), options, queue);
    })
}

/// The same call, which the broker only tries if it shall.
fn trial(
    validate_only: bool,
    call: impl FnOnce(*mut Rk, *mut Options, *mut RkQueue),
) -> impl FnOnce(*mut Rk, *mut Options, *mut RkQueue) {
    move |client, options, queue| {
        // SAFETY: the options live, and are for any call.
        unsafe {
            sys::rd_kafka_AdminOptions_set_validate_only(options, validate_only.into(), ptr::null_mut(), 0);
        }
        call(client, options, queue);
    }
}

fn new_topics(all: &[NewTopic<'_>]) -> Reply<Natives<sys::rd_kafka_NewTopic_t>> {
    let mut natives = Natives(Vec::with_capacity(all.len()), sys::rd_kafka_NewTopic_destroy);
    for topic in all {
        let name = c_string(topic.name)?;
        let (partitions, replication) = (topic.partitions.unwrap_or(-1), topic.replication.unwrap_or(-1));
        // SAFETY: the name outlives the call, and librdkafka copies it; the text has the length that is said.
        let native = made_or_why(|why, length| unsafe {
            sys::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replication, why, length)
        })?;
        natives.0.push(native);
        for (key, value) in topic.config {
            let (key, value) = (c_string(key)?, c_string(value)?);
            // SAFETY: the topic lives, and librdkafka copies the texts. It refuses only null.
            unsafe { sys::rd_kafka_NewTopic_set_config(native, key.as_ptr(), value.as_ptr()) };
        }
    }
    Ok(natives)
}

fn new_partitions(grown: &[(&str, usize)]) -> Reply<Natives<sys::rd_kafka_NewPartitions_t>> {
    let mut natives = Natives(Vec::with_capacity(grown.len()), sys::rd_kafka_NewPartitions_destroy);
    for (name, total) in grown {
        let name = c_string(name)?;
        // SAFETY: as in `new_topics`.
        natives.0.push(made_or_why(|why, length| unsafe {
            sys::rd_kafka_NewPartitions_new(name.as_ptr(), *total, why, length)
        })?);
    }
    Ok(natives)
}

fn partition_list(all: &[(&str, i32)], offset: i64) -> Reply<Natives<sys::rd_kafka_topic_partition_list_t>> {
    let size = c_int::try_from(all.len()).unwrap_or_default();
    // SAFETY: the size is only a hint.
    let native = made(unsafe { sys::rd_kafka_topic_partition_list_new(size) })?;
    let natives = Natives(vec![native], sys::rd_kafka_topic_partition_list_destroy);
    for (topic, partition) in all {
        let topic = c_string(topic)?;
        // SAFETY: the list lives, and librdkafka copies the name; what it gives is a living part of the list.
        unsafe { (*sys::rd_kafka_topic_partition_list_add(native, topic.as_ptr(), *partition)).offset = offset }
    }
    Ok(natives)
}

fn topic_result(one: *const sys::rd_kafka_topic_result_t) -> Reply<()> {
    // SAFETY: as in `read_topic`.
    unsafe { coded(rd_kafka_topic_result_error(one), sys::rd_kafka_topic_result_error_string(one)) }
}

fn read_group(group: *const sys::rd_kafka_ConsumerGroupDescription_t) -> Reply<Group> {
    // SAFETY: as in `read_topic`; a member is only asked for below their count, and a state's name is a constant.
    unsafe {
        item(sys::rd_kafka_ConsumerGroupDescription_error(group))?;
        let state = sys::rd_kafka_consumer_group_state_name(sys::rd_kafka_ConsumerGroupDescription_state(group));
        let members = (0..sys::rd_kafka_ConsumerGroupDescription_member_count(group)).map(|index| {
            let member = sys::rd_kafka_ConsumerGroupDescription_member(group, index);
            let assignment = sys::rd_kafka_MemberDescription_assignment(member);
            let partitions = if assignment.is_null() {
                Vec::new()
            } else {
                placed_all(sys::rd_kafka_MemberAssignment_partitions(assignment))
            };
            Member {
                client_id: text(sys::rd_kafka_MemberDescription_client_id(member)),
                host: text(sys::rd_kafka_MemberDescription_host(member)),
                topics: partitions.into_iter().map(|(topic, _, _)| topic).collect(),
            }
        });
        let (name, members) = (text(sys::rd_kafka_ConsumerGroupDescription_group_id(group)), members.collect());
        Ok(Group { name, state: text(state), members })
    }
}

fn any_acl_of(principal: Option<&str>) -> Reply<Natives<sys::rd_kafka_AclBinding_t>> {
    let principal = principal.map(c_string).transpose()?;
    let principal = principal.as_ref().map_or(ptr::null(), |principal| principal.as_ptr());
    let (resource, pattern, operation, permission) = ANY;
    let (none, any, filter) = (ptr::null_mut(), ptr::null(), sys::rd_kafka_AclBindingFilter_new);
    // SAFETY: null stands for any; the text outlives the call, and librdkafka copies it.
    let native = unsafe { filter(resource, any, pattern, principal, any, operation, permission, none, 0) };
    Ok(Natives(vec![made(native)?], sys::rd_kafka_AclBinding_destroy))
}

fn bindings(acls: &[OwnedBinding]) -> Reply<Natives<sys::rd_kafka_AclBinding_t>> {
    let mut natives = Natives(Vec::with_capacity(acls.len()), sys::rd_kafka_AclBinding_destroy);
    for OwnedBinding { principal, binding } in acls {
        let (resource, operation) =
            (meaning(&RESOURCES, &binding.resource)?, meaning(&OPERATIONS, &binding.operation)?);
        let (name, principal, host) = (c_string(&binding.name)?, c_string(principal)?, c_string(&binding.host)?);
        let (pattern, permission) = (pattern(binding.prefixed), permission(binding.allow));
        let (none, name, principal, host) = (ptr::null_mut(), name.as_ptr(), principal.as_ptr(), host.as_ptr());
        let new = sys::rd_kafka_AclBinding_new;
        // SAFETY: the texts outlive the call, and librdkafka copies them.
        let native = unsafe { new(resource, name, pattern, principal, host, operation, permission, none, 0) };
        natives.0.push(made(native)?);
    }
    Ok(natives)
}

fn read_topic(topic: *const sys::rd_kafka_TopicDescription_t) -> (String, Reply<TopicFound>) {
    // SAFETY: `ask_list` gives pointers to living items, and what is read is a part of the item.
    unsafe {
        let found = item(sys::rd_kafka_TopicDescription_error(topic)).map(|()| {
            let partitions = list(topic, sys::rd_kafka_TopicDescription_partitions);
            let replicas = partitions.iter().map(|one| list(*one, sys::rd_kafka_TopicPartitionInfo_replicas).len());
            TopicFound { replication: replicas.max().unwrap_or_default(), partitions: partitions.len() }
        });
        (text(sys::rd_kafka_TopicDescription_name(topic)), found)
    }
}

fn read_binding(acl: *const sys::rd_kafka_AclBinding_t) -> OwnedBinding {
    // SAFETY: as in `read_topic`.
    unsafe {
        let kinds = (
            sys::rd_kafka_AclBinding_restype(acl),
            sys::rd_kafka_AclBinding_resource_pattern_type(acl),
            sys::rd_kafka_AclBinding_operation(acl),
            sys::rd_kafka_AclBinding_permission_type(acl),
        );
        let (name, host) = (text(sys::rd_kafka_AclBinding_name(acl)), text(sys::rd_kafka_AclBinding_host(acl)));
        OwnedBinding { principal: text(sys::rd_kafka_AclBinding_principal(acl)), binding: binding(kinds, name, host) }
    }
}

fn read_user(user: *const sys::rd_kafka_UserScramCredentialsDescription_t) -> Reply<Option<ScramUser>> {
    // SAFETY: as in `read_topic`; a credential is only asked for below their count.
    unsafe {
        match item(sys::rd_kafka_UserScramCredentialsDescription_error(user)) {
            Ok(()) => {}
            Err(trouble) if trouble.cause == Cause::Absent => return Ok(None),
            Err(trouble) => return Err(trouble),
        }
        let count = sys::rd_kafka_UserScramCredentialsDescription_scramcredentialinfo_count(user);
        let credentials = (0..count).filter_map(|index| {
            let one = sys::rd_kafka_UserScramCredentialsDescription_scramcredentialinfo(user, index);
            let mechanism = word(&MECHANISMS, sys::rd_kafka_ScramCredentialInfo_mechanism(one))?;
            let iterations = u32::try_from(sys::rd_kafka_ScramCredentialInfo_iterations(one)).unwrap_or_default();
            Some((mechanism.to_owned(), iterations))
        });
        let credentials = credentials.collect();
        Ok(Some(ScramUser { name: text(sys::rd_kafka_UserScramCredentialsDescription_user(user)), credentials }))
    }
}

fn native_alterations(all: &[Alteration<'_>]) -> Reply<Natives<sys::rd_kafka_UserScramCredentialAlteration_t>> {
    let mut natives = Natives(Vec::with_capacity(all.len()), sys::rd_kafka_UserScramCredentialAlteration_destroy);
    for alteration in all {
        let user = c_string(alteration.user)?;
        let mechanism = meaning(&MECHANISMS, alteration.mechanism)?;
        let native = match alteration.change {
            Change::Set { iterations, password } => {
                let (password, length) = (password.expose().as_ptr(), password.expose().len());
                let (iterations, salt) = (i32::try_from(iterations).unwrap_or(i32::MAX), ptr::null());
                let (user, upsertion) = (user.as_ptr(), sys::rd_kafka_UserScramCredentialUpsertion_new);
                // SAFETY: name and password outlive the call; librdkafka copies them, and makes the salt.
                unsafe { upsertion(user, mechanism, iterations, password, length, salt, 0) }
            }
            // SAFETY: the name outlives the call, and librdkafka copies it.
            Change::Remove => unsafe { sys::rd_kafka_UserScramCredentialDeletion_new(user.as_ptr(), mechanism) },
        };
        natives.0.push(made(native)?);
    }
    Ok(natives)
}

fn native_edits(all: &[ConfigEdit<'_>]) -> Reply<Natives<sys::rd_kafka_ConfigResource_t>> {
    let mut natives = Natives(Vec::with_capacity(all.len()), sys::rd_kafka_ConfigResource_destroy);
    let kind = sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    let add = sys::rd_kafka_ConfigResource_add_incremental_config;
    for edit in all {
        let topic = c_string(edit.topic)?;
        // SAFETY: the name outlives the call, and librdkafka copies it.
        let resource = made(unsafe { sys::rd_kafka_ConfigResource_new(kind, topic.as_ptr()) })?;
        natives.0.push(resource);
        for (key, value) in &edit.values {
            let (key, value) = (c_string(key)?, value.map(c_string).transpose()?);
            let operation = edit_operation(value.is_some());
            let value = value.as_ref().map_or(ptr::null(), |value| value.as_ptr());
            // SAFETY: the resource lives, and librdkafka copies the texts. An error object is ours, and is freed.
            unsafe {
                let refused = add(resource, key.as_ptr(), operation, value);
                let said = item(refused);
                sys::rd_kafka_error_destroy(refused);
                said?;
            }
        }
    }
    Ok(natives)
}

/// # Safety
/// `error` must be null or point to a living error.
unsafe fn item(error: *const sys::rd_kafka_error_t) -> Reply<()> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller vouches.
    let (name, said) = unsafe { (text(sys::rd_kafka_error_name(error)), text(sys::rd_kafka_error_string(error))) };
    if name == "NO_ERROR" { Ok(()) } else { Err(Trouble::named(&name, &said)) }
}

/// # Safety
/// `said` must be null or point to a text that ends with a zero byte.
unsafe fn coded(code: c_int, said: *const c_char) -> Reply<()> {
    // SAFETY: as the caller vouches; the name of a code is a constant.
    if code == 0 { Ok(()) } else { unsafe { Err(Trouble::named(&text(rd_kafka_err2name(code)), &text(said))) } }
}

/// Topic, partition and offset.
///
/// # Safety
/// `one` must point to a living partition.
unsafe fn placed(one: *const sys::rd_kafka_topic_partition_t) -> (String, i32, Reply<i64>) {
    // SAFETY: as the caller vouches. The code is read as a number, and its text is a constant.
    unsafe {
        let code = (&raw const (*one).err).cast::<c_int>().read();
        (text((*one).topic), (*one).partition, coded(code, rd_kafka_err2str(code)).map(|()| (*one).offset))
    }
}

/// # Safety
/// `list` must be null or point to a living list.
unsafe fn placed_all(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(String, i32, Reply<i64>)> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: as the caller vouches; there are as many elements as the list says.
    unsafe { (0..usize::try_from((*list).cnt).unwrap_or_default()).map(|at| placed((*list).elems.add(at))).collect() }
}

/// The new object, or why librdkafka refuses to make it.
fn made_or_why<T>(make: impl FnOnce(*mut c_char, usize) -> *mut T) -> Reply<*mut T> {
    let mut why = [0; 256];
    let native = make(why.as_mut_ptr(), why.len());
    // SAFETY: librdkafka ends the text with a zero byte, and it began with one.
    if native.is_null() { Err(Trouble::new(Cause::Invalid, unsafe { text(why.as_ptr()) })) } else { Ok(native) }
}

/// # Safety
/// `pointer` must be null or point to a text that ends with a zero byte.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as the caller vouches.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// A list inside an answer, by the function that gives its start and its length.
///
/// # Safety
/// `whole` must be what `get` asks for, and outlive `'a`.
unsafe fn list<'a, W, T>(whole: *const W, get: List<W, T>) -> &'a [T] {
    let mut count = 0;
    // SAFETY: as the caller vouches; librdkafka gives a pointer to as many values as it says.
    unsafe {
        let first = get(whole, &raw mut count);
        if first.is_null() { &[] } else { std::slice::from_raw_parts(first, count) }
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn raise_stack() {
    unsafe extern "C" {
        fn pthread_setattr_default_np(attributes: *const libc::pthread_attr_t) -> c_int;
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the attributes are initialised first and destroyed last. If it fails, the default stays.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            if libc::pthread_attr_init(&raw mut attributes) == 0 {
                libc::pthread_attr_setstacksize(&raw mut attributes, STACK);
                pthread_setattr_default_np(&raw const attributes);
                libc::pthread_attr_destroy(&raw mut attributes);
            }
        }
    });
}
