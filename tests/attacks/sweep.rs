//! Every command that a server has, tried by `ACL DRYRUN` on a key, as the server itself says where its keys stand.

use common::resp::{Reply, Wire};

/// One way of calling a command: what is found at `key` is a key to the server.
pub struct Call {
    /// Of the command, as `config|get`.
    pub name: String,
    /// As `ACL DRYRUN` takes it.
    pub words: Vec<String>,
    /// None: the command takes no key.
    pub key: Option<usize>,
}

impl Call {
    /// What it would do as somebody: `OK`, or why not.
    pub fn dryrun(&self, admin: &mut Wire, user: &str, key: &str) -> String {
        let mut words = vec!["ACL".to_owned(), "DRYRUN".to_owned(), user.to_owned()];
        words.extend(self.words.iter().cloned());
        if let Some(place) = self.key.and_then(|place| words.get_mut(place + 3)) {
            key.clone_into(place);
        }
        match admin.say(&words) {
            Reply::Text(said) => said,
            other @ (Reply::Nothing | Reply::Number(_) | Reply::Error(_) | Reply::Many(_)) => {
                panic!("{words:?}: {other:?}")
            }
        }
    }
}

/// All calls of all commands, but those whose keys the server cannot place before it has all of the arguments.
pub fn all_calls(admin: &mut Wire) -> Vec<Call> {
    let Reply::Many(commands) = admin.run("COMMAND") else { panic!("no commands") };
    commands.iter().flat_map(calls).collect()
}

/// An entry of `COMMAND`'s: name, arity, flags, ..., key specifications, subcommands.
fn calls(entry: &Reply) -> Vec<Call> {
    let [name, arity, .., specs, subcommands] = entry.many() else { panic!("{entry:?}") };
    if !subcommands.many().is_empty() {
        return subcommands.many().iter().flat_map(calls).collect();
    }
    let mut words: Vec<String> = name.text().split('|').map(str::to_owned).collect();
    let least = usize::try_from(arity.number().abs()).expect("a number of words");
    words.resize(words.len().max(least), "1".to_owned());
    if specs.many().is_empty() {
        return vec![Call { name: name.text().to_owned(), words, key: None }];
    }
    // With fewer words than it has places for keys, too: see PFMERGE in the list of attempts.
    specs.many().iter().filter_map(|spec| keyed(name.text(), &words, spec)).collect()
}

/// The call with a key where one specification looks for it.
fn keyed(name: &str, words: &[String], spec: &Reply) -> Option<Call> {
    if field(spec, "flags").many().iter().any(|flag| flag.text() == "not_key") {
        return None;
    }
    let mut words = words.to_vec();
    let (begin, find) = (field(spec, "begin_search"), field(spec, "find_keys"));
    let begins = field(begin, "spec");
    let first = match field(begin, "type").text() {
        "index" => usize::try_from(field(begins, "index").number()).ok()?,
        "keyword" => {
            let place = usize::try_from(field(begins, "startfrom").number()).ok()?;
            words.resize(place, "1".to_owned());
            words.push(field(begins, "keyword").text().to_owned());
            place + 1
        }
        _ => return None,
    };
    let finds = field(find, "spec");
    let key = match field(find, "type").text() {
        "range" => first,
        "keynum" => first + usize::try_from(field(finds, "firstkey").number()).ok()?,
        _ => return None,
    };
    // What follows is one more word where keys are halved with other things, as in XREAD.
    let halved = field(find, "type").text() == "range" && field(finds, "limit").number() == 2;
    words.resize(words.len().max(key + 1 + usize::from(halved)), "1".to_owned());
    Some(Call { name: name.to_owned(), words, key: Some(key) })
}

/// The value after a name, in a list of both.
fn field<'a>(list: &'a Reply, name: &str) -> &'a Reply {
    let place = list.many().iter().position(|item| item.text() == name);
    place.and_then(|place| list.many().get(place + 1)).unwrap_or_else(|| panic!("no {name} in {list:?}"))
}
