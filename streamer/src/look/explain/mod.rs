//! `streamer explain`: where an event came from and where it went, or what an error's code means.
//!
//! # Layout
//! - `find`: the records that an LSN is in
//! - `story`: what is known of a record, asked from all that know
//! - `applied`: what became of it in the target
//! - `timeline`: a story for a person

mod applied;
mod find;
mod story;
mod timeline;

use std::str::FromStr;

use access::diagnosis::catalogue;
use clap::Args;
use jiff::tz::TimeZone;
use proto::lsn::Lsn;
use serde_json::{Value, json};

use super::Ended;
use super::filter::Pattern;
use super::line::Layout;
use super::reach::connect::Connect;
use super::reach::kafka::{Kafka, Reader};
use super::reach::postgres::Database;
use super::record::{Place, Record};
use super::screen::Screen;
use story::Witnesses;

/// So many records of one LSN are told of.
const TOLD: usize = 20;

/// `streamer explain`.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// TOPIC/PARTITION/OFFSET of a record; a position in the source's log: 0/16B3748, or the number that is in source.lsn; or the code
    /// of an error
    #[arg(value_name = "WHAT")]
    what: What,
    /// Kafka
    #[command(flatten)]
    kafka: Kafka,
    /// The worker, which knows the connector and its stored position
    #[command(flatten)]
    connect: Connect,
    /// The source, which knows the slot: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…
    #[arg(long, env = "HEADWATER_SOURCE", hide_env_values = true, value_name = "URL")]
    source: Option<Database>,
    /// The sink's target, which knows what was applied
    #[arg(long, env = "HEADWATER_TARGET", hide_env_values = true, value_name = "URL")]
    target: Option<Database>,
    /// For an LSN: in which topics it is looked for, or tables (schema.table, or table) whose topics end with them; * for any
    /// letters. Without, in every topic that is named PREFIX.SCHEMA.TABLE
    #[arg(long, value_name = "TOPIC|TABLE")]
    topic: Vec<Pattern>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Event(Event),
    /// An error's page in the catalogue.
    Error(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Event {
    Record(Place),
    Lsn(Lsn),
}

impl FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.rsplitn(3, '/');
        if let (Some(offset), Some(partition), Some(topic)) = (parts.next(), parts.next(), parts.next()) {
            let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
                return Err("TOPIC/PARTITION/OFFSET is expected, with two numbers".to_owned());
            };
            return Ok(Self::Event(Event::Record(Place { topic: topic.to_owned(), partition, offset })));
        }
        if let Ok(number) = text.parse::<u64>() {
            return Ok(Self::Event(Event::Lsn(Lsn::from(number))));
        }
        if let Ok(lsn) = text.parse() {
            return Ok(Self::Event(Event::Lsn(lsn)));
        }
        if text.is_empty() || text.contains('/') {
            return Err("TOPIC/PARTITION/OFFSET, an LSN (0/16B3748) or an error's code is expected".to_owned());
        }
        catalogue::look_up(text).map(Self::Error)
    }
}

/// Tells the story of a record, or of the records that an LSN is in.
///
/// # Errors
/// What keeps it from reading, or when there is no such record.
pub async fn run(explain: &Explain) -> Result<(), Ended> {
    let screen = Screen::new();
    match &explain.what {
        What::Event(event) => follow(explain, event, &screen).await?,
        What::Error(page) if explain.json => screen.line(&json!({ "page": page }).to_string(), false)?,
        What::Error(page) => screen.line(page.trim_end(), false)?,
    }
    screen.flush()
}

async fn follow(explain: &Explain, event: &Event, screen: &Screen) -> Result<(), Ended> {
    let reader = Reader::new(&explain.kafka.client(None)?)?;
    let witnesses = Witnesses::new(explain.connect.rest()?, explain.source.as_ref(), explain.target.as_ref()).await?;
    let layout = Layout::new(screen.paint, TimeZone::system(), false);
    match event {
        Event::Record(place) => {
            let record = record(&reader, place).await?;
            let story = witnesses.story(&reader, record).await?;
            match explain.json {
                true => screen.line(&story.json().to_string(), false)?,
                false => timeline::print(screen, &layout, &story)?,
            }
            Ok(())
        }
        Event::Lsn(lsn) => of_lsn(explain, *lsn, &reader, &witnesses, screen, &layout).await,
    }
}

async fn of_lsn(
    explain: &Explain,
    lsn: Lsn,
    reader: &Reader,
    witnesses: &Witnesses,
    screen: &Screen,
    layout: &Layout,
) -> Result<(), Ended> {
    let found = find::records(reader, &explain.topic, lsn, screen).await?;
    let mut stories = Vec::new();
    for place in found.places.iter().take(TOLD) {
        stories.push(witnesses.story(reader, record(reader, place).await?).await?);
    }
    if explain.json {
        let records: Vec<Value> = stories.iter().map(story::Story::json).collect();
        let near = |near: &Option<(Lsn, Place)>| match near {
            Some((lsn, place)) => json!({ "lsn": lsn.to_string(), "record": place.to_string() }),
            None => Value::Null,
        };
        let told = json!({
            "lsn": lsn.to_string(), "records": records, "before": near(&found.before), "behind": near(&found.behind),
        });
        return screen.line(&told.to_string(), false);
    }
    for story in &stories {
        timeline::print(screen, layout, story)?;
    }
    if found.places.len() > TOLD {
        screen.line(&format!("and {} records more", found.places.len() - TOLD), true)?;
    }
    if found.places.is_empty() {
        screen.line(&format!("no record of the topics that were looked into is of {lsn}"), true)?;
        for (word, near) in [("before", &found.before), ("behind", &found.behind)] {
            if let Some((lsn, place)) = near {
                screen.line(&format!("  next {word} it: {lsn} in {place}"), true)?;
            }
        }
        for line in witnesses.slots_at(lsn).await? {
            screen.line(&format!("  {line}"), false)?;
        }
    }
    Ok(())
}

/// A record that must be there.
async fn record(reader: &Reader, place: &Place) -> Result<Record, Ended> {
    let Place { topic, partition, offset } = place;
    let (first, end) = reader.range(topic, *partition)?;
    let message = reader.read_at(topic, *partition, *offset).await?;
    match message {
        Some(message) if rdkafka::Message::offset(&message) == *offset => {
            Record::of(&message).map_err(|why| Ended::cannot(why.told(topic)))
        }
        _ if *offset >= end => {
            Err(Ended::cannot(format!("{place} is not there yet: the partition's next record gets offset {end}")))
        }
        _ if *offset < first => Err(Ended::cannot(format!(
            "{place} is not there any more: the topic's retention has removed what was before offset {first}"
        ))),
        _ => Err(Ended::cannot(format!(
            "{place} is no record: it was compacted away, is the end of a Kafka transaction, or of one that was aborted"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_explained_is_a_record_or_an_lsn() {
        let lsn = |lsn: u64| Ok(What::Event(Event::Lsn(Lsn::from(lsn))));
        let place =
            |topic: &str| What::Event(Event::Record(Place { topic: topic.to_owned(), partition: 0, offset: 41 }));
        assert_eq!("p.public.t/0/41".parse(), Ok(place("p.public.t")));
        assert_eq!("0/16B3748".parse(), lsn(0x16B_3748));
        assert_eq!("23803720".parse(), lsn(23_803_720));
        assert!(matches!("slot-missing".parse(), Ok(What::Error(page)) if page.starts_with("# slot-missing\n")));
        for wrong in ["", "p.public.t", "p.public.t/x/1", "0/XYZ", "slot-mising"] {
            assert!(wrong.parse::<What>().is_err(), "{wrong}");
        }
    }
}
