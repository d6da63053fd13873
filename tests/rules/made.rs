//! Rules made at random, and the same rules in other words.

use super::catalogue::Commands;

/// What is tried is the same for the same seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, number: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % number as u64).unwrap()
    }

    pub fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }

    pub fn pick<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }

    fn shuffle<T>(&mut self, some: &mut [T]) {
        for place in (1..some.len()).rev() {
            some.swap(place, self.below(place + 1));
        }
    }
}

/// The rules of a user itself or of one selector.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub keys: Vec<String>,
    pub channels: Vec<String>,
    pub databases: Option<String>,
    pub commands: Vec<String>,
}

/// The rules of a user: its own, then those of selectors.
#[derive(Clone, Debug)]
pub struct Made(pub Vec<Set>);

/// Few, so that patterns meet; the special ones are for the quirks of matching.
const LETTERS: [&str; 5] = ["a", "b", "a", "b", ":"];
const QUIRKS: [&str; 14] =
    ["?", "*", "[ab]", "[^a]", "[b-a]", r"\*", r"\a", "[a", "[]", "[^]", r"[\]a]", r"[a\", r"\", "[a-"];
const FAVOURITES: [&str; 26] = [
    "get",
    "set",
    "del",
    "exists",
    "incr",
    "mget",
    "copy",
    "rename",
    "smove",
    "publish",
    "subscribe",
    "psubscribe",
    "select",
    "eval",
    "sort",
    "xread",
    "bitfield",
    "object",
    "config|get",
    "config",
    "client",
    "flushall",
    "swapdb",
    "ping",
    "auth",
    "touch",
];

impl Set {
    fn words(&self) -> Vec<String> {
        let mut words = self.keys.clone();
        words.extend(self.channels.iter().cloned());
        words.extend(self.databases.clone());
        words.extend(self.commands.iter().cloned());
        words
    }

    fn made(dice: &mut Dice, commands: &Commands) -> Self {
        let mut set = Self::default();
        for _ in 0..=dice.below(3) {
            set.keys.push(key(dice));
        }
        if dice.one_in(12) {
            set.keys = vec![(*dice.pick(&["allkeys", "~*"])).to_owned()];
        }
        for _ in 0..dice.below(3) {
            set.channels.push(format!("&{}", pattern(dice)));
        }
        if dice.one_in(12) {
            set.channels = vec![(*dice.pick(&["allchannels", "&*"])).to_owned()];
        }
        if commands.database_rules && dice.one_in(3) {
            set.databases = Some((*dice.pick(&["db=0", "db=1,0", "db=3", "alldbs", "resetdbs"])).to_owned());
        }
        set.commands.extend(["+get".to_owned(), "+set".to_owned()]);
        for _ in 0..dice.below(6) {
            set.commands.push(command(dice, commands));
        }
        if dice.one_in(8) {
            set.commands.insert(0, (*dice.pick(&["+@all", "allcommands"])).to_owned());
        }
        set
    }
}

fn pattern(dice: &mut Dice) -> String {
    let mut pattern = String::new();
    for _ in 0..=dice.below(3) {
        let letters: &[&str] = if dice.one_in(4) { &QUIRKS } else { &LETTERS };
        pattern.push_str(letters[dice.below(letters.len())]);
    }
    if dice.one_in(2) {
        pattern.push('*');
    }
    // What matches everything without being `*` differs from it only where DRYRUN does not look: `SORT .. GET`.
    if pattern.trim_matches(['*', '?']).is_empty() { format!("a{pattern}") } else { pattern }
}

fn key(dice: &mut Dice) -> String {
    format!("{}{}", dice.pick(&["~", "~", "%R~", "%W~", "%RW~", "%r~"]), pattern(dice))
}

fn command(dice: &mut Dice, commands: &Commands) -> String {
    let sign = if dice.one_in(4) { "-" } else { "+" };
    match dice.below(6) {
        0 => format!("{sign}@{}", dice.pick(&commands.categories)),
        1 => format!("+select|{}", dice.below(3)),
        2 => (*dice.pick(&["+ping|a", "+echo|b", "+PING|B"])).to_owned(),
        3 => format!("{sign}{}", dice.pick(&commands.names())),
        _ => format!("{sign}{}", dice.pick(&FAVOURITES)),
    }
}

impl Made {
    pub fn new(dice: &mut Dice, commands: &Commands) -> Self {
        let selectors = if dice.one_in(3) { 1 + dice.below(2) } else { 0 };
        Self((0..=selectors).map(|_| Set::made(dice, commands)).collect())
    }

    /// As `ACL SETUSER` takes them.
    pub fn words(&self) -> Vec<String> {
        let selectors = self.0.iter().skip(1).map(|set| format!("({})", set.words().join(" ")));
        let own = self.0.first().map(Set::words).unwrap_or_default();
        own.into_iter().chain(selectors).collect()
    }

    /// Other words that should mean the same.
    pub fn said_otherwise(&self, dice: &mut Dice, commands: &Commands) -> Self {
        let mut made = self.clone();
        for _ in 0..=dice.below(4) {
            let place = dice.below(made.0.len());
            made.0[place].say_otherwise(dice, commands);
        }
        if dice.one_in(4) {
            let twin = made.0[dice.below(made.0.len())].clone();
            made.0.push(twin);
        }
        made
    }

    /// Rules that are nearly the same, and may well be.
    pub fn nearly(&self, dice: &mut Dice, commands: &Commands) -> Self {
        let mut made = self.clone();
        let place = dice.below(made.0.len());
        match dice.below(6) {
            0 => made.0.push(Set::made(dice, commands)),
            1 if made.0.len() > 1 => drop(made.0.pop()),
            // What one part had is now shared out over two: the same for commands of one key.
            2 => {
                let mut twin = made.0[place].clone();
                let moved = dice.below(twin.keys.len());
                twin.keys = vec![twin.keys[moved].clone()];
                made.0[place].keys.remove(moved);
                made.0.push(twin);
            }
            _ => made.0[place].change(dice, commands),
        }
        made
    }
}

impl Set {
    fn say_otherwise(&mut self, dice: &mut Dice, commands: &Commands) {
        match dice.below(9) {
            0 => dice.shuffle(&mut self.keys),
            1 => dice.shuffle(&mut self.channels),
            2 => self.commands.insert(0, "nocommands".to_owned()),
            3 => self.keys.insert(0, "resetkeys".to_owned()),
            4 => self.channels.insert(0, "resetchannels".to_owned()),
            5 => {
                // A pattern that is more special than another one adds nothing.
                if let Some(pattern) = self.keys.iter().find(|key| key.starts_with("~a") && key.ends_with('*')) {
                    self.keys.push(format!("{}b*", pattern.trim_end_matches('*')).replace('\\', ""));
                }
            }
            6 => {
                let place = dice.below(self.keys.len());
                if let Some(pattern) = self.keys[place].strip_prefix('~').filter(|pattern| *pattern != "*") {
                    let (read, write) = (format!("%R~{pattern}"), format!("%W~{pattern}"));
                    self.keys[place] = read;
                    self.keys.push(write);
                }
            }
            7 => {
                // A category, or a command with subcommands, one by one.
                let place = dice.below(self.commands.len());
                let members = commands.members(&self.commands[place][1..]);
                let sign = self.commands[place][..1].to_owned();
                if !members.is_empty() {
                    let members = members.into_iter().map(|member| format!("{sign}{member}"));
                    self.commands.splice(place..=place, members);
                }
            }
            _ => {
                let last = self.commands.last().cloned().unwrap_or_default();
                if !last.contains('|') && !last.starts_with("all") {
                    self.commands.push(last.to_uppercase());
                }
            }
        }
    }

    fn change(&mut self, dice: &mut Dice, commands: &Commands) {
        match dice.below(6) {
            0 if self.keys.len() > 1 => drop(self.keys.pop()),
            1 => {
                let place = dice.below(self.keys.len());
                self.keys[place] = self.keys[place].replace("%R~", "~").replace("%W~", "%R~");
            }
            2 if !self.keys.contains(&"~*".to_owned()) => self.keys.push(key(dice)),
            3 => self.channels = vec![format!("&{}", pattern(dice))],
            4 if commands.database_rules => {
                self.databases = Some((*dice.pick(&["db=0", "db=0,1", "alldbs"])).to_owned())
            }
            _ => self.commands.push(command(dice, commands)),
        }
    }
}

/// A text that a pattern matches, or nearly.
pub fn near(dice: &mut Dice, pattern: &str) -> String {
    let mut text = sample(dice, pattern);
    if dice.one_in(4) {
        text.push_str(LETTERS[dice.below(LETTERS.len())]);
    }
    if dice.one_in(6) {
        text.pop();
    }
    text
}

/// A text that a pattern matches, if it is not a strange one.
pub fn sample(dice: &mut Dice, pattern: &str) -> String {
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => (0..dice.below(3)).for_each(|_| text.push_str(["a", "b", ":", "x", "]"][dice.below(5)])),
            '?' => text.push_str(["a", "b", "x", "*"][dice.below(4)]),
            '[' => {
                let mut inside = Vec::new();
                while let Some(letter) = letters.next().filter(|letter| *letter != ']') {
                    inside.push(if letter == '\\' { letters.next().unwrap_or(letter) } else { letter });
                }
                text.push(if inside.is_empty() || dice.one_in(3) {
                    *dice.pick(&['a', 'b', 'x', ']', '\\', '-'])
                } else {
                    *dice.pick(&inside)
                });
            }
            '\\' => text.push(letters.next().unwrap_or('\\')),
            letter => text.push(letter),
        }
    }
    text
}
