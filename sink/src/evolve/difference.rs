//! What has to be done to a table or type of the target, so that it follows the source's.
//!
//! Three states say it: `base`, how the source's was when the target last followed it; `want`, how it is now; `have`, how the target's is.
//! What differs between `base` and `want` is what was done in the source, and of that is done what `have` lacks. Everything else stays:
//! an index that somebody made in the target alone, a column with a wider type there. Texts of expressions are compared with texts
//! of the same server where that can be: another may print the same expression in another way.

use std::collections::BTreeMap;

use super::change::{Change, TypeChange};
use super::definition::{Attribute, Column, Constraint, Index, Partition, Table, UserType};

/// The name, the columns, and what has to go before these can change. What is behind it, [`constraints`] says of the table as it is
/// then.
pub fn columns(base: Option<&Table>, want: &Table, have: &Table) -> Vec<Change> {
    let mut changes = Vec::new();
    if (&have.schema, &have.name) != (&want.schema, &want.name) {
        changes.push(Change::RenameFrom(have.schema.clone(), have.name.clone()));
    }
    if let Some(base) = base {
        changes.extend(gone(base, want, have));
    }
    let mut names = Names(have.columns.iter().map(|column| (column.name.clone(), column)).collect());
    if let Some(base) = base {
        for column in base.columns.iter().filter(|column| want.numbered(column.number).is_none()) {
            if names.0.remove(&column.name).is_some() && !column.inherited {
                changes.push(Change::DropColumn(column.name.clone()));
            }
        }
        changes.extend(names.rename(base, want));
    }
    for column in &want.columns {
        let before = base.and_then(|base| base.numbered(column.number));
        match names.0.get(&column.name) {
            Some(there) if base.is_some() => changes.extend(changed(before, column, there)),
            // The table was made of the source's catalog, which may be ahead: what it has in another way is told of later.
            Some(_) => {}
            // A partition gets it with its parent.
            None if column.inherited && want.partition_of.is_some() => {}
            None => changes.extend(added(column)),
        }
    }
    changes
}

/// The target's columns by their names.
struct Names<'a>(BTreeMap<String, &'a Column>);

impl Names<'_> {
    /// Gives the columns the names that they have now.
    fn rename(&mut self, base: &Table, want: &Table) -> Vec<Change> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for column in &want.columns {
            if let Some(before) = base.numbered(column.number)
                && before.name != column.name
                && self.0.contains_key(&before.name)
                && !column.inherited
            {
                pairs.push((before.name.clone(), column.name.clone()));
            }
        }
        // The name of one that keeps it is somebody else's in the target.
        let is_freed = |pairs: &[(String, String)], name: &String| pairs.iter().any(|(from, _)| from == name);
        loop {
            let all = pairs.clone();
            pairs.retain(|(_, to)| !self.0.contains_key(to) || is_freed(&all, to));
            if pairs.len() == all.len() {
                break;
            }
        }
        let mut changes = Vec::new();
        while !pairs.is_empty() {
            let free = pairs.iter().position(|(_, to)| !self.0.contains_key(to));
            let (from, to) = match free {
                Some(free) => pairs.remove(free),
                // They change names among each other: one steps aside.
                None => match pairs.first_mut() {
                    Some((from, _)) => {
                        let aside = format!("headwater_was_{from}");
                        let from = std::mem::replace(from, aside.clone());
                        (from, aside)
                    }
                    None => break,
                },
            };
            if let Some(column) = self.0.remove(&from) {
                self.0.insert(to.clone(), column);
                changes.push(Change::RenameColumn(from, to));
            }
        }
        changes
    }
}

/// A column that the target lacks.
pub fn added(column: &Column) -> Vec<Change> {
    let mut changes = vec![Change::AddColumn(column.clone())];
    if column.missing.is_some() && column.generated.is_none() && column.identity.is_none() {
        // The older rows have got theirs; the newer ones' may be another by now.
        changes.push(Change::Default(column.name.clone(), column.default.clone()));
    }
    changes
}

/// What was done to a column that is there.
fn changed(base: Option<&Column>, want: &Column, have: &Column) -> Vec<Change> {
    let mut changes = Vec::new();
    if want.inherited {
        return changes;
    }
    let name = || want.name.clone();
    let kind = |column: &Column| (column.data_type.clone(), column.collation.clone());
    let differs = |of: &dyn Fn(&Column) -> bool| of(have) && base.is_none_or(of);
    // One that was made of the source's catalog, when a row brought it, may be ahead.
    let is_known = base.is_some();
    if is_known && differs(&|column| kind(column) != kind(want)) {
        changes.push(Change::Retype(want.clone(), have.data_type.clone()));
    }
    // To become generated, a column has to be another.
    if have.generated.is_some() && differs(&|column| column.generated != want.generated) {
        changes.push(Change::Generated(name(), want.generated.clone()));
    }
    if is_known && differs(&|column| column.identity != want.identity) {
        if have.identity.is_none() && have.default.is_some() {
            changes.push(Change::Default(name(), None));
        }
        if have.identity.is_none() && !have.not_null {
            changes.push(Change::NotNull(name(), true));
        }
        changes.push(Change::Identity(name(), have.identity.clone(), want.identity.clone()));
    }
    let is_plain = want.generated.is_none() && want.identity.is_none() && have.generated.is_none();
    if is_plain && differs(&|column| column.default != want.default) {
        changes.push(Change::Default(name(), want.default.clone()));
    }
    if (is_known || want.not_null) && differs(&|column| column.not_null != want.not_null) {
        changes.push(Change::NotNull(name(), want.not_null));
    }
    changes
}

/// Constraints and indexes that the source has no longer.
fn gone(base: &Table, want: &Table, have: &Table) -> Vec<Change> {
    let is_in = |renamed: &[(String, String)], name: &str| renamed.iter().any(|(from, _)| from == name);
    let renamed = renamed_constraints(base, want, have);
    let constraints = base
        .constraints
        .iter()
        .filter(|old| want.constraint(&old.name).is_none() && have.constraint(&old.name).is_some())
        .filter(|old| !is_in(&renamed, &old.name))
        .map(|old| Change::DropConstraint(old.name.clone()));
    // Those that refer to others first.
    let mut changes: Vec<Change> = constraints.collect();
    changes.reverse();
    let renamed = renamed_indexes(base, want, have);
    let indexes = base
        .indexes
        .iter()
        .filter(|old| want.index(&old.name).is_none() && have.index(&old.name).is_some())
        .filter(|old| !is_in(&renamed, &old.name))
        .map(|old| Change::DropIndex(old.name.clone()));
    changes.extend(indexes);
    changes
}

/// Constraints with another name: from, to.
fn renamed_constraints(base: &Table, want: &Table, have: &Table) -> Vec<(String, String)> {
    let is_old = |old: &&Constraint| want.constraint(&old.name).is_none() && have.constraint(&old.name).is_some();
    let is_new = |new: &&Constraint| base.constraint(&new.name).is_none() && have.constraint(&new.name).is_none();
    let of = |constraint: &Constraint| (constraint.name.clone(), constraint.definition.clone());
    pairs(base.constraints.iter().filter(is_old).map(of).collect(), want.constraints.iter().filter(is_new).map(of))
}

/// Indexes with another name: from, to.
fn renamed_indexes(base: &Table, want: &Table, have: &Table) -> Vec<(String, String)> {
    let is_old = |old: &&Index| want.index(&old.name).is_none() && have.index(&old.name).is_some();
    let is_new = |new: &&Index| base.index(&new.name).is_none() && have.index(&new.name).is_none();
    let of = |index: &Index| (index.name.clone(), index.without_name());
    pairs(base.indexes.iter().filter(is_old).map(of).collect(), want.indexes.iter().filter(is_new).map(of))
}

/// The names of those that are the same but for their names.
fn pairs(mut old: Vec<(String, String)>, new: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    new.filter_map(|(to, what)| {
        let at = old.iter().position(|(_, other)| *other == what)?;
        Some((old.remove(at).0, to))
    })
    .collect()
}

/// Constraints, indexes and partitions, of a table whose columns are as they are wanted.
pub fn constraints(base: Option<&Table>, want: &Table, have: &Table) -> Vec<Change> {
    let (mut first, mut then) = (Vec::new(), Vec::new());
    let renamed = base.map(|base| renamed_constraints(base, want, have)).unwrap_or_default();
    for new in &want.constraints {
        let before = base.and_then(|base| base.constraint(&new.name));
        let from = renamed.iter().find(|(_, to)| *to == new.name).map(|(from, _)| from);
        match (have.constraint(&new.name), from) {
            _ if before == Some(new) => {}
            (Some(there), _) if before.is_some() && there.definition != new.definition => {
                first.push(Change::DropConstraint(new.name.clone()));
                then.push(Change::AddConstraint(new.clone()));
            }
            (Some(_), _) => {}
            (None, Some(from)) => first.push(Change::RenameConstraint(from.clone(), new.name.clone())),
            (None, None) => then.push(Change::AddConstraint(new.clone())),
        }
    }
    let renamed = base.map(|base| renamed_indexes(base, want, have)).unwrap_or_default();
    for new in &want.indexes {
        let before = base.and_then(|base| base.index(&new.name));
        let from = renamed.iter().find(|(_, to)| *to == new.name).map(|(from, _)| from);
        match (have.index(&new.name), from) {
            _ if before == Some(new) => {}
            (Some(there), _) if before.is_some() && there.definition != new.definition => {
                first.push(Change::DropIndex(new.name.clone()));
                then.push(Change::CreateIndex(new.clone()));
            }
            (Some(_), _) => {}
            (None, Some(from)) => first.push(Change::RenameIndex(from.clone(), new.name.clone())),
            (None, None) => then.push(Change::CreateIndex(new.clone())),
        }
    }
    if let Some(base) = base {
        let new = |part: &&Partition| !base.partitions.contains(part) && !is_part(have, part);
        then.extend(want.partitions.iter().filter(new).cloned().map(Change::Attach));
        let old = |part: &&Partition| !is_part(want, part) && is_part(have, part);
        first.extend(base.partitions.iter().filter(old).cloned().map(Change::Detach));
    }
    // Names are free then.
    first.extend(then);
    first
}

fn is_part(table: &Table, part: &Partition) -> bool {
    table.partitions.iter().any(|other| (&other.schema, &other.name) == (&part.schema, &part.name))
}

/// What keeps rows out of the target that the source takes: it is looked for when a row was refused. With `full` the target follows
/// in what is more than an addition; constraints that it had from the source, `base` says.
pub fn in_the_way(base: Option<&Table>, want: &Table, have: &Table, full: bool) -> Vec<Change> {
    let mut changes = Vec::new();
    for there in have.columns.iter().filter(|there| there.generated.is_none()) {
        let name = || there.name.clone();
        let now = want.column(&there.name);
        if there.not_null && now.is_none_or(|now| !now.not_null) && there.identity.is_none() {
            changes.push(Change::NotNull(name(), false));
        }
        if let Some(now) = now
            && full
            && now.data_type != there.data_type
            && now.generated.is_none()
        {
            changes.push(Change::Retype(now.clone(), there.data_type.clone()));
        }
    }
    let before = base.filter(|_| full).into_iter().flat_map(|base| &base.constraints);
    let dropped = before.filter(|old| want.constraint(&old.name).is_none() && have.constraint(&old.name).is_some());
    changes.extend(dropped.map(|old| Change::DropConstraint(old.name.clone())));
    changes
}

/// What has to be done to a type.
pub fn types(base: Option<&UserType>, want: &UserType, have: &UserType) -> Vec<TypeChange> {
    let mut changes = Vec::new();
    if (&have.schema, &have.name) != (&want.schema, &want.name) {
        changes.push(TypeChange::RenameFrom(have.schema.clone(), have.name.clone()));
    }
    match want.kind.as_str() {
        "e" => changes.extend(labels(base, want, have)),
        "d" => {
            let differs = |of: &dyn Fn(&UserType) -> bool| of(have) && base.is_none_or(of);
            if differs(&|other| other.default != want.default) {
                changes.push(TypeChange::Default(want.default.clone()));
            }
            for old in base.iter().flat_map(|base| &base.checks) {
                let is_there = have.checks.iter().any(|check| check.name == old.name);
                if is_there && !want.checks.contains(old) {
                    changes.push(TypeChange::DropCheck(old.name.clone()));
                }
            }
            for new in &want.checks {
                let is_known = base.is_some_and(|base| base.checks.contains(new));
                let stays = have.checks.iter().any(|check| check.name == new.name)
                    && !changes.contains(&TypeChange::DropCheck(new.name.clone()));
                if !is_known && !stays {
                    changes.push(TypeChange::AddCheck(new.clone()));
                }
            }
            if differs(&|other| other.not_null != want.not_null) {
                changes.push(TypeChange::NotNull(want.not_null));
            }
        }
        "c" => {
            for old in base.iter().flat_map(|base| &base.attributes) {
                let has = |other: &UserType| other.attributes.iter().any(|field| field.name == old.name);
                if has(have) && !has(want) {
                    changes.push(TypeChange::DropAttribute(old.name.clone()));
                }
            }
            let is_new = |field: &&Attribute| !have.attributes.iter().any(|old| old.name == field.name);
            changes.extend(want.attributes.iter().filter(is_new).cloned().map(TypeChange::AddAttribute));
        }
        _ => {}
    }
    changes
}

/// An enum's labels: those that got another name, and those that came.
fn labels(base: Option<&UserType>, want: &UserType, have: &UserType) -> Vec<TypeChange> {
    let mut there = have.labels.clone();
    let mut changes = Vec::new();
    if let Some(base) = base.filter(|base| base.labels.len() == want.labels.len()) {
        for (old, new) in base.labels.iter().zip(&want.labels) {
            let is_renamed = !want.labels.contains(old) && !base.labels.contains(new) && !there.contains(new);
            if let Some(place) = there.iter_mut().find(|label| is_renamed && *label == old) {
                place.clone_from(new);
                changes.push(TypeChange::RenameLabel(old.clone(), new.clone()));
            }
        }
    }
    // From the last one on: each has its neighbour there.
    let mut before: Option<&String> = None;
    for label in want.labels.iter().rev() {
        if !there.contains(label) {
            changes.push(TypeChange::AddLabel(label.clone(), before.cloned()));
        }
        before = Some(label);
    }
    changes
}

#[cfg(test)]
mod tests;
