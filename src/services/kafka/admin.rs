//! The admin calls of librdkafka behind safe async functions.
//!
//! A request is a number: it travels through librdkafka as the request's opaque, and comes back with the event that
//! answers it. Who waits is found in a map by that number, so a caller that stops waiting leaks nothing, and an answer
//! that nobody waits for is freed where it arrives.
//! What librdkafka answers is read through its own getters alone: each reads a part of a living object that lives as
//! long as the object, and texts end with a zero byte. The functions that take a `Get` or a `List` build on that.
#![allow(unsafe_code, reason = "calls into librdkafka that no safe binding offers; every other file is safe")]

mod access;
mod asking;
mod groups;
mod topics;

use super::client::again::again;
use super::client::link::Link;
use super::client::native::{Alteration, Change, Cluster, ConfigEdit, NewTopic, OwnedBinding, Resource};
use super::client::poller::{Notice, Poller};
use super::client::trouble::{Cause, Trouble};
use super::client::words::{ANY, MECHANISMS, OPERATIONS, RESOURCES, c_string, c_strings, edit_operation, meaning};
use super::client::words::{no_memory, operations, pattern, permission, resource, unanswered, unexpected};
use rdkafka::config::ClientConfig;
use rdkafka::types::RDKafkaType;
use rdkafka_sys as sys;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

type Rk = sys::rd_kafka_t;
type RkQueue = sys::rd_kafka_queue_t;
type Options = sys::rd_kafka_AdminOptions_t;
type RkEvent = sys::rd_kafka_event_t;
/// A getter of librdkafka.
type Get<W, T> = unsafe extern "C" fn(*const W) -> T;
/// A getter of a list: its start and length.
type List<W, T> = unsafe extern "C" fn(*const W, *mut usize) -> *mut T;
/// The getters of an event's answer, and of the items of that answer.
type Parts<W, X> = (unsafe extern "C" fn(*mut RkEvent) -> *const W, List<W, *const X>);
/// An admin call on a list of native objects, which librdkafka copies.
type Call<T> = unsafe extern "C" fn(*mut Rk, *mut T, usize, *const Options, *mut RkQueue);
/// rdkafka's own client, which tells us of its connections.
type Client = rdkafka::client::Client<Link>;
type Reply<T> = Result<T, Trouble>;

/// How long one request may take; a broken connection is told long before.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// DescribeAcls keeps every string of its answer on a thread's stack: 8 MB hold 20,000 ACLs, and more kill the process.
const STACK: usize = 256 << 20;

// Brokers send codes that the enums of the binding lack, and such a number must never become one of those enums.
unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut RkEvent) -> c_int;
    fn rd_kafka_topic_result_error(result: *const sys::rd_kafka_topic_result_t) -> c_int;
    fn rd_kafka_ConfigResource_error(resource: *const sys::rd_kafka_ConfigResource_t) -> c_int;
    fn rd_kafka_ConfigEntry_source(entry: *const sys::rd_kafka_ConfigEntry_t) -> c_int;
    fn rd_kafka_ScramCredentialInfo_mechanism(info: *const sys::rd_kafka_ScramCredentialInfo_t) -> c_int;
    fn rd_kafka_err2name(code: c_int) -> *const c_char;
    fn rd_kafka_err2str(code: c_int) -> *const c_char;
}

/// Where a request goes: all three live while it is handed over.
#[derive(Clone, Copy)]
struct To {
    client: *mut Rk,
    options: *mut Options,
    queue: *mut RkQueue,
}

/// One client with its own queue and one thread that polls it. A call fails as a whole if no broker answers in time, none
/// lets us in, or the principal may not ask. The fields are dropped in this order: nothing of the client outlives it.
pub struct Admin {
    poller: Poller<Event>,
    queue: Arc<Queue>,
    client: Arc<Client>,
    config: ClientConfig,
    groups: OnceLock<Box<Admin>>,
}

impl Admin {
    /// Makes a client; nothing is contacted yet. It fails on a configuration that librdkafka refuses.
    pub fn new(config: &ClientConfig) -> Reply<Self> {
        Self::of_kind(config.clone(), RDKafkaType::RD_KAFKA_PRODUCER)
    }

    /// Whether the connection broke, so that this client is of no more use.
    pub fn is_broken(&self) -> bool {
        self.client.context().is_broken() || self.groups.get().is_some_and(|groups| groups.is_broken())
    }

    fn of_kind(config: ClientConfig, kind: RDKafkaType) -> Reply<Self> {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        raise_stack();
        let client = Arc::new(Client::new(&config, config.create_native_config()?, kind, Link::of(&config))?);
        let native = client.native_ptr();
        // SAFETY: the client lives; a queue of its own is made, which `Queue` destroys before the client goes.
        let queue = Queue(NonNull::new(unsafe { sys::rd_kafka_queue_new(native) }).ok_or_else(no_memory)?);
        // SAFETY: both queues live. Errors and log lines of the main queue come to ours from then on.
        unsafe {
            let main = sys::rd_kafka_queue_get_main(native);
            sys::rd_kafka_queue_forward(main, queue.ptr());
            sys::rd_kafka_queue_destroy(main);
        }
        let queue = Arc::new(queue);
        let polled = Arc::clone(&queue);
        let poller = Poller::start(move |patience| polled.poll(patience), client.context().clone())?;
        Ok(Self { poller, queue, client, config, groups: OnceLock::new() })
    }

    /// Who the cluster is and what the principal may do to it.
    pub async fn describe_cluster(&self) -> Reply<Cluster> {
        again(self.link(), || {
            self.ask(
                // SAFETY: all three live. An error of the option is freed and otherwise of no matter.
                |to| unsafe {
                    let refused = sys::rd_kafka_AdminOptions_set_include_authorized_operations(to.options, 1);
                    sys::rd_kafka_error_destroy(refused);
                    sys::rd_kafka_DescribeCluster(to.client, to.options, to.queue);
                },
                |event| {
                    let result = event.answer(sys::rd_kafka_event_DescribeCluster_result)?;
                    let id = string(result, sys::rd_kafka_DescribeCluster_result_cluster_id);
                    let nodes = items(result, sys::rd_kafka_DescribeCluster_result_nodes).flatten();
                    let brokers = nodes.map(groups::read_broker).collect();
                    let mut count = 0;
                    // SAFETY: librdkafka gives null, or a pointer to as many constants of its own as it says.
                    let allowed = unsafe {
                        let first = sys::rd_kafka_DescribeCluster_result_authorized_operations(result, &raw mut count);
                        (!first.is_null()).then(|| operations(std::slice::from_raw_parts(first, count)))
                    };
                    Ok(Cluster { id: Some(id).filter(|id| !id.is_empty()), brokers, allowed })
                },
            )
        })
        .await
    }

    /// Hands a request to librdkafka, which answers it in any case, if only by a time-out, and reads the answer.
    fn ask<T>(&self, call: impl FnOnce(To), read: impl FnOnce(&Event) -> Reply<T>) -> impl Future<Output = Reply<T>> {
        let ticket = self.poller.ticket();
        let client = self.client.native_ptr();
        let limit = c_int::try_from(PATIENCE.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: client and queue live. The options live until they are destroyed below; librdkafka copies them in
        // the call. The opaque is a number that is never followed as a pointer.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ANY);
            sys::rd_kafka_AdminOptions_set_request_timeout(options, limit, ptr::null_mut(), 0);
            // Without it librdkafka would call topics that the broker has not finished with successes.
            sys::rd_kafka_AdminOptions_set_operation_timeout(options, limit / 2, ptr::null_mut(), 0);
            sys::rd_kafka_AdminOptions_set_opaque(options, ptr::without_provenance_mut::<c_void>(ticket.number));
            call(To { client, options, queue: self.queue.ptr() });
            sys::rd_kafka_AdminOptions_destroy(options);
        }
        let client = Arc::clone(&self.client);
        async move {
            let event = tokio::select! {
                event = ticket.wait(client.context()) => event?,
                never = asking::who_is_up(&client) => match never {},
            };
            event.check(client.context())?;
            read(&event)
        }
    }
}

/// A queue of the client.
struct Queue(NonNull<RkQueue>);

// SAFETY: librdkafka's queues may be used from any thread, and by several at once.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    fn ptr(&self) -> *mut RkQueue {
        self.0.as_ptr()
    }

    /// Waits a moment for what comes next.
    fn poll(&self, patience: Duration) -> Option<Notice<Event>> {
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
struct Event(NonNull<RkEvent>);

// SAFETY: an event belongs to whoever polled it, and is bound to no thread.
unsafe impl Send for Event {}

impl Event {
    fn ptr(&self) -> *mut RkEvent {
        self.0.as_ptr()
    }

    /// The answer, unless it is one to another question (null).
    fn answer<W>(&self, whole: unsafe extern "C" fn(*mut RkEvent) -> *const W) -> Reply<&W> {
        // SAFETY: the answer lives as long as the event.
        unsafe { whole(self.ptr()).as_ref() }.ok_or_else(unexpected)
    }

    /// Whether the whole request failed.
    fn check(&self, link: &Link) -> Reply<()> {
        // SAFETY: the event lives, and the text of a code is a constant.
        let (code, said) = unsafe {
            let code = rd_kafka_event_error(self.ptr());
            let constant = self.has_stray_text().then(|| rd_kafka_err2str(code));
            (code, text(constant.unwrap_or_else(|| sys::rd_kafka_event_error_string(self.ptr()))))
        };
        coded(code, || said).map_err(|trouble| link.explain(trouble))
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
    /// Makes one for each; null is none.
    fn new<I>(of: &[I], destroy: unsafe extern "C" fn(*mut T), make: impl Fn(&I) -> Reply<*mut T>) -> Reply<Self> {
        let mut natives = Self(Vec::with_capacity(of.len()), destroy);
        for one in of {
            let native = make(one)?;
            natives.0.push(if native.is_null() { return Err(no_memory()) } else { native });
        }
        Ok(natives)
    }

    /// Hands the whole list to an admin call.
    fn given_to(mut self, call: Call<*mut T>) -> impl FnOnce(To) {
        // SAFETY: all of `To` lives, and the list outlives the call, which copies it.
        move |to| unsafe { call(to.client, self.0.as_mut_ptr(), self.0.len(), to.options, to.queue) }
    }

    /// Hands the one object of the list to an admin call.
    fn only_given_to(
        self,
        call: unsafe extern "C" fn(*mut Rk, *mut T, *const Options, *mut RkQueue),
    ) -> impl FnOnce(To) {
        // SAFETY: as above.
        move |to| self.0.iter().for_each(|one| unsafe { call(to.client, *one, to.options, to.queue) })
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

/// Hands names to an admin call.
fn given_names(names: &[&str], call: Call<*const c_char>) -> Reply<impl FnOnce(To) + use<>> {
    let names = c_strings(names)?;
    // SAFETY: all of `To` lives, and the names outlive the call, which copies them.
    Ok(move |to: To| unsafe {
        let mut names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        call(to.client, names.as_mut_ptr(), names.len(), to.options, to.queue);
    })
}

/// The same for a call on topics.
fn given_topics(names: &[&str]) -> Reply<impl FnOnce(To) + use<>> {
    unsafe extern "C" fn call(
        client: *mut Rk,
        names: *mut *const c_char,
        count: usize,
        options: *const Options,
        queue: *mut RkQueue,
    ) {
        // SAFETY: as the caller vouches; the collection is destroyed once.
        unsafe {
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(names, count);
            sys::rd_kafka_DescribeTopics(client, topics, options, queue);
            sys::rd_kafka_TopicCollection_destroy(topics);
        }
    }
    given_names(names, call)
}

/// A call on nothing in particular.
fn given_nothing(call: unsafe extern "C" fn(*mut Rk, *const Options, *mut RkQueue)) -> impl FnOnce(To) {
    // SAFETY: all of `To` lives.
    move |to| unsafe { call(to.client, to.options, to.queue) }
}

/// The same call, which the broker only tries if it shall.
fn trial(validate_only: bool, call: impl FnOnce(To)) -> impl FnOnce(To) {
    move |to| {
        // SAFETY: the options live, and are for any call.
        unsafe { sys::rd_kafka_AdminOptions_set_validate_only(to.options, validate_only.into(), ptr::null_mut(), 0) };
        call(to);
    }
}

fn new_topic(topic: &NewTopic<'_>) -> Reply<*mut sys::rd_kafka_NewTopic_t> {
    let (name, mut configs) = (c_string(topic.name)?, Vec::with_capacity(topic.config.len()));
    for (key, value) in topic.config {
        configs.push((c_string(key)?, c_string(value)?));
    }
    let (partitions, replication) = (topic.partitions.unwrap_or(-1), topic.replication.unwrap_or(-1));
    // SAFETY: the name outlives the call, and librdkafka copies it; the text is as long as is said.
    let native = made_or_why(|why, length| unsafe {
        sys::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replication, why, length)
    })?;
    for (key, value) in &configs {
        // SAFETY: the topic lives, and librdkafka copies the texts. It refuses only null.
        unsafe { sys::rd_kafka_NewTopic_set_config(native, key.as_ptr(), value.as_ptr()) };
    }
    Ok(native)
}

fn new_partitions((name, total): &(&str, usize)) -> Reply<*mut sys::rd_kafka_NewPartitions_t> {
    let name = c_string(name)?;
    // SAFETY: the name outlives the call, and librdkafka copies it; the text is as long as is said.
    made_or_why(|why, length| unsafe { sys::rd_kafka_NewPartitions_new(name.as_ptr(), *total, why, length) })
}

fn doomed_topic(name: &&str) -> Reply<*mut sys::rd_kafka_DeleteTopic_t> {
    let name = c_string(name)?;
    // SAFETY: the name outlives the call, and librdkafka copies it.
    Ok(unsafe { sys::rd_kafka_DeleteTopic_new(name.as_ptr()) })
}

fn new_resource(of: &Resource<'_>) -> Reply<*mut sys::rd_kafka_ConfigResource_t> {
    let (kind, name) = resource(of);
    let name = c_string(name)?;
    // SAFETY: the name outlives the call, and librdkafka copies it.
    Ok(unsafe { sys::rd_kafka_ConfigResource_new(kind, name.as_ptr()) })
}

fn offsets_of_group(group: &&str) -> Reply<*mut sys::rd_kafka_ListConsumerGroupOffsets_t> {
    let group = c_string(group)?;
    // SAFETY: null stands for all partitions; librdkafka copies the name.
    Ok(unsafe { sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), ptr::null()) })
}

fn partition_list(all: &[(&str, i32)], offset: i64) -> Reply<Natives<sys::rd_kafka_topic_partition_list_t>> {
    let size = c_int::try_from(all.len()).unwrap_or_default();
    // SAFETY: the size is only a hint.
    let new = |_: &()| Ok(unsafe { sys::rd_kafka_topic_partition_list_new(size) });
    let natives = Natives::new(&[()], sys::rd_kafka_topic_partition_list_destroy, new)?;
    for (list, (topic, partition)) in natives.0.iter().flat_map(|list| all.iter().map(move |one| (*list, one))) {
        let topic = c_string(topic)?;
        // SAFETY: the list lives, and librdkafka copies the name; what it gives is a living part of the list.
        unsafe { (*sys::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), *partition)).offset = offset }
    }
    Ok(natives)
}

fn any_acl_of(principal: Option<&str>) -> Reply<Natives<sys::rd_kafka_AclBinding_t>> {
    let principal = principal.map(c_string).transpose()?;
    let principal = principal.as_ref().map_or(ptr::null(), |principal| principal.as_ptr());
    let (resource, pattern, operation, permission) = ANY;
    let (any, new) = (ptr::null(), sys::rd_kafka_AclBindingFilter_new);
    Natives::new(&[()], sys::rd_kafka_AclBinding_destroy, |_: &()| {
        // SAFETY: null stands for any; the text outlives the call, and librdkafka copies it.
        made_or_why(|why, size| unsafe {
            new(resource, any, pattern, principal, any, operation, permission, why, size)
        })
    })
}

fn new_binding(OwnedBinding { principal, binding }: &OwnedBinding) -> Reply<*mut sys::rd_kafka_AclBinding_t> {
    let (resource, operation) = (meaning(&RESOURCES, &binding.resource)?, meaning(&OPERATIONS, &binding.operation)?);
    let (name, principal, host) = (c_string(&binding.name)?, c_string(principal)?, c_string(&binding.host)?);
    let (pattern, permission) = (pattern(binding.prefixed), permission(binding.allow));
    let (name, principal, host) = (name.as_ptr(), principal.as_ptr(), host.as_ptr());
    let new = sys::rd_kafka_AclBinding_new;
    // SAFETY: the texts outlive the call, and librdkafka copies them.
    made_or_why(|why, size| unsafe { new(resource, name, pattern, principal, host, operation, permission, why, size) })
}

fn new_alteration(of: &Alteration<'_>) -> Reply<*mut sys::rd_kafka_UserScramCredentialAlteration_t> {
    let (user, mechanism) = (c_string(of.user)?, meaning(&MECHANISMS, of.mechanism)?);
    Ok(match of.change {
        Change::Set { iterations, password } => {
            let (password, length) = (password.expose().as_ptr(), password.expose().len());
            let (iterations, salt) = (i32::try_from(iterations).unwrap_or(i32::MAX), ptr::null());
            let (user, upsertion) = (user.as_ptr(), sys::rd_kafka_UserScramCredentialUpsertion_new);
            // SAFETY: name and password outlive the call; librdkafka copies them, and makes the salt.
            unsafe { upsertion(user, mechanism, iterations, password, length, salt, 0) }
        }
        // SAFETY: the name outlives the call, and librdkafka copies it.
        Change::Remove => unsafe { sys::rd_kafka_UserScramCredentialDeletion_new(user.as_ptr(), mechanism) },
    })
}

fn new_edit(edit: &ConfigEdit<'_>) -> Reply<*mut sys::rd_kafka_ConfigResource_t> {
    let topic = [Resource::Topic(edit.topic)];
    let mut natives = Natives::new(&topic, sys::rd_kafka_ConfigResource_destroy, new_resource)?;
    let add = sys::rd_kafka_ConfigResource_add_incremental_config;
    for (native, (key, value)) in natives.0.iter().flat_map(|native| edit.values.iter().map(move |one| (*native, one)))
    {
        let (key, value) = (c_string(key)?, value.map(c_string).transpose()?);
        let operation = edit_operation(value.is_some());
        let value = value.as_ref().map_or(ptr::null(), |value| value.as_ptr());
        // SAFETY: the resource lives, and librdkafka copies the texts. An error object is ours, and is freed.
        unsafe {
            let refused = add(native, key.as_ptr(), operation, value);
            let said = told(refused.as_ref());
            sys::rd_kafka_error_destroy(refused);
            said?;
        }
    }
    natives.0.pop().ok_or_else(no_memory)
}

fn get<W, T: Copy>(of: &W, getter: Get<W, T>) -> T {
    // SAFETY: a getter reads a part of what lives.
    unsafe { getter(of) }
}

fn part<W, T>(of: &W, getter: Get<W, *const T>) -> Option<&T> {
    // SAFETY: null, or a part that lives as long as the whole.
    unsafe { getter(of).as_ref() }
}

/// One of several parts, by its place, which is below their count.
fn nth<W, T>(of: &W, at: usize, getter: unsafe extern "C" fn(*const W, usize) -> *const T) -> Option<&T> {
    // SAFETY: null, or a part that lives as long as the whole.
    unsafe { getter(of, at).as_ref() }
}

/// The name of a constant.
fn constant<T>(of: T, name: unsafe extern "C" fn(T) -> *const c_char) -> String {
    // SAFETY: names of constants are constants.
    unsafe { text(name(of)) }
}

fn some_string<W>(of: &W, getter: Get<W, *const c_char>) -> Option<String> {
    // SAFETY: null, or a text that lives as long as the whole.
    part(of, getter).map(|start| unsafe { text(start) })
}

fn string<W>(of: &W, getter: Get<W, *const c_char>) -> String {
    // SAFETY: null, or a text that lives as long as the whole.
    unsafe { text(getter(of)) }
}

/// The items of a list, with `None` for holes.
fn items<'a, W, T: 'a>(of: &'a W, getter: List<W, *const T>) -> impl Iterator<Item = Option<&'a T>> + use<'a, W, T> {
    let mut count = 0;
    // SAFETY: null, or as many pointers as librdkafka says, each null or to an item that lives as long as the whole.
    let all: &[*const T] = unsafe {
        let first = getter(of, &raw mut count);
        if first.is_null() { &[] } else { std::slice::from_raw_parts(first, count) }
    };
    // SAFETY: as above.
    all.iter().map(|one| unsafe { one.as_ref() })
}

fn told(error: Option<&sys::rd_kafka_error_t>) -> Reply<()> {
    let Some(error) = error else { return Ok(()) };
    let (name, said) = (string(error, sys::rd_kafka_error_name), string(error, sys::rd_kafka_error_string));
    if name == "NO_ERROR" { Ok(()) } else { Err(Trouble::named(&name, &said)) }
}

/// An error by its number, in these words or else in librdkafka's.
fn coded(code: c_int, said: impl FnOnce() -> String) -> Reply<()> {
    // SAFETY: the name of a code lives until this thread asks for the next.
    if code == 0 { Ok(()) } else { Err(Trouble::named(&unsafe { text(rd_kafka_err2name(code)) }, &said())) }
}

type Placed = (String, i32, Reply<i64>);

/// Topic, partition and offset of a partition.
fn placed<W>(of: &W, getter: Get<W, *const sys::rd_kafka_topic_partition_t>) -> Placed {
    // SAFETY: the partition lives as long as the whole.
    unsafe { placed_at(getter(of)) }
}

/// The same of all that are in a list, which may be null.
fn all_placed<W>(of: &W, getter: Get<W, *const sys::rd_kafka_topic_partition_list_t>) -> Vec<Placed> {
    // SAFETY: null, or a list that lives as long as the whole. There are as many elements as it says.
    unsafe {
        let list = getter(of);
        let count = if list.is_null() { 0 } else { usize::try_from((*list).cnt).unwrap_or_default() };
        (0..count).map(|at| placed_at((*list).elems.add(at))).collect()
    }
}

/// # Safety
/// `one` must point to a living partition.
unsafe fn placed_at(one: *const sys::rd_kafka_topic_partition_t) -> Placed {
    // SAFETY: as the caller vouches. The code is read as a number, and its text is a constant.
    unsafe {
        let code = (&raw const (*one).err).cast::<c_int>().read();
        let offset = (*one).offset;
        (text((*one).topic), (*one).partition, coded(code, || text(rd_kafka_err2str(code))).map(|()| offset))
    }
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
