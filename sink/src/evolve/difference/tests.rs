use proptest::prelude::*;

use super::*;

fn column(number: i16, name: &str, data_type: &str) -> Column {
    Column { number, name: name.to_owned(), data_type: data_type.to_owned(), ..Column::default() }
}

fn table(columns: Vec<Column>) -> Table {
    Table { oid: 1, schema: "public".to_owned(), name: "t".to_owned(), columns, ..Table::default() }
}

fn constraint(name: &str, definition: &str) -> Constraint {
    Constraint { name: name.to_owned(), definition: definition.to_owned(), references: None }
}

fn index(name: &str, on: &str) -> Index {
    Index { name: name.to_owned(), definition: format!("CREATE INDEX {name} ON public.t USING btree ({on})") }
}

/// What PostgreSQL would do.
fn carry_out(changes: &[Change], want: &Table, table: &mut Table) {
    fn of<'a>(table: &'a mut Table, name: &str) -> &'a mut Column {
        table.columns.iter_mut().find(|column| column.name == name).expect("the column is there")
    }
    for change in changes {
        match change {
            Change::RenameFrom(schema, name) => {
                assert_eq!((schema, name), (&table.schema, &table.name));
                (table.schema, table.name) = (want.schema.clone(), want.name.clone());
            }
            Change::RenameColumn(from, to) => {
                assert!(table.column(to).is_none(), "{to} is there twice");
                of(table, from).name = to.clone();
            }
            Change::AddColumn(column) => {
                assert!(table.column(&column.name).is_none(), "{} is there twice", column.name);
                let default = column.missing.clone().or(column.default.clone());
                table.columns.push(Column { default, ..column.clone() });
            }
            Change::DropColumn(name) => {
                of(table, name);
                table.columns.retain(|column| column.name != *name);
            }
            Change::Retype(to, _) => {
                let column = of(table, &to.name);
                (column.data_type, column.default) = (to.data_type.clone(), to.default.clone());
            }
            Change::NotNull(name, not_null) => of(table, name).not_null = *not_null,
            Change::Default(name, default) => of(table, name).default = default.clone(),
            Change::AddConstraint(constraint) => {
                assert!(table.constraint(&constraint.name).is_none());
                table.constraints.push(constraint.clone());
            }
            Change::DropConstraint(name) => table.constraints.retain(|constraint| constraint.name != *name),
            Change::RenameConstraint(from, to) => {
                table.constraints.iter_mut().find(|constraint| constraint.name == *from).unwrap().name = to.clone();
            }
            Change::CreateIndex(index) => {
                assert!(table.index(&index.name).is_none());
                table.indexes.push(index.clone());
            }
            Change::DropIndex(name) => table.indexes.retain(|index| index.name != *name),
            Change::RenameIndex(from, to) => {
                let index = table.indexes.iter_mut().find(|index| index.name == *from).unwrap();
                index.definition = index.definition.replacen(&format!(" {from} "), &format!(" {to} "), 1);
                index.name = to.clone();
            }
            other => panic!("{other:?}"),
        }
    }
}

fn follow(base: Option<&Table>, want: &Table, have: &mut Table) -> Vec<Change> {
    let mut all = columns(base, want, have);
    carry_out(&all, want, have);
    let then = constraints(base, want, have);
    carry_out(&then, want, have);
    all.extend(then);
    all
}

/// Everything that counts, in no order.
fn shown(table: &Table) -> (String, Vec<String>, Vec<String>, Vec<String>) {
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts
    };
    let of = |column: &Column| format!("{} {} {} {:?}", column.name, column.data_type, column.not_null, column.default);
    (
        format!("{}.{}", table.schema, table.name),
        sorted(table.columns.iter().map(of).collect()),
        sorted(
            table
                .constraints
                .iter()
                .map(|constraint| format!("{} {}", constraint.name, constraint.definition))
                .collect(),
        ),
        sorted(table.indexes.iter().map(|index| index.definition.clone()).collect()),
    )
}

#[test]
fn a_rename_is_told_from_a_column_that_went_and_another_that_came() {
    let base = table(vec![column(1, "id", "integer"), column(2, "a", "text")]);
    let renamed = table(vec![column(1, "id", "integer"), column(2, "b", "text")]);
    let another = table(vec![column(1, "id", "integer"), column(3, "b", "text")]);
    let to = |want: &Table| columns(Some(&base), want, &base);
    assert_eq!(to(&renamed), [Change::RenameColumn("a".to_owned(), "b".to_owned())]);
    let expected = [Change::DropColumn("a".to_owned()), Change::AddColumn(column(3, "b", "text"))];
    assert_eq!(to(&another), expected);
    // One that went and came again under its name.
    let again = table(vec![column(1, "id", "integer"), column(3, "a", "text")]);
    assert_eq!(to(&again), [Change::DropColumn("a".to_owned()), Change::AddColumn(column(3, "a", "text"))]);
}

#[test]
fn columns_that_change_names_with_each_other_keep_their_values() {
    let base = table(vec![column(1, "a", "integer"), column(2, "b", "text")]);
    let want = table(vec![column(1, "b", "integer"), column(2, "a", "text")]);
    let mut have = base.clone();
    follow(Some(&base), &want, &mut have);
    assert_eq!(shown(&have), shown(&want));
}

#[test]
fn what_only_the_target_has_stays() {
    let base = table(vec![column(1, "id", "integer")]);
    let want = table(vec![column(1, "id", "integer"), column(2, "a", "text")]);
    let mut have = base.clone();
    have.columns.push(column(9, "note", "text"));
    have.columns[0].data_type = "bigint".to_owned();
    have.indexes.push(index("own", "note"));
    have.constraints.push(constraint("own", "CHECK ((note <> ''::text))"));
    let changes = follow(Some(&base), &want, &mut have);
    assert_eq!(changes, [Change::AddColumn(column(2, "a", "text"))]);
}

#[test]
fn without_a_base_nothing_goes_and_nothing_changes() {
    let want = table(vec![column(1, "id", "bigint"), column(2, "b", "text")]);
    let mut have = table(vec![column(1, "id", "integer"), column(2, "a", "text")]);
    let changes = follow(None, &want, &mut have);
    assert_eq!(changes, [Change::AddColumn(column(2, "b", "text"))]);
}

#[test]
fn older_rows_get_what_the_sources_have() {
    let new = Column { missing: Some("1".to_owned()), default: Some("2".to_owned()), ..column(2, "a", "integer") };
    let changes = added(&new);
    assert_eq!(changes[0].sql("s", "t"), r#"ALTER TABLE "s"."t" ADD COLUMN "a" integer DEFAULT '1'::integer"#);
    assert_eq!(changes[1].sql("s", "t"), r#"ALTER TABLE "s"."t" ALTER COLUMN "a" SET DEFAULT 2"#);
    assert!(!changes[0].may_differ());
    assert!(!Change::Retype(column(1, "a", "bigint"), "integer".to_owned()).may_differ());
    assert!(Change::Retype(column(1, "a", "integer"), "text".to_owned()).may_differ());
    assert!(Change::AddColumn(Column { missing: None, ..new }).may_differ());
}

#[test]
fn partitions_come_and_go() {
    let part = |name: &str| Partition {
        schema: "public".to_owned(),
        name: name.to_owned(),
        bound: "FOR VALUES IN (1)".to_owned(),
    };
    let with =
        |names: &[&str]| Table { partitions: names.iter().map(|name| part(name)).collect(), ..table(Vec::new()) };
    let (base, want) = (with(&["a", "b"]), with(&["b", "c", "d"]));
    let expected = [Change::Detach(part("a")), Change::Attach(part("c"))];
    assert_eq!(constraints(Some(&base), &want, &with(&["a", "b", "d"])), expected);
}

#[test]
fn labels_come_in_their_places_and_change_their_names() {
    let of = |labels: &[&str]| UserType {
        kind: "e".to_owned(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..UserType::default()
    };
    let (base, owned) = (of(&["a", "c"]), str::to_owned);
    let added = |label, before: Option<&str>| TypeChange::AddLabel(owned(label), before.map(owned));
    assert_eq!(
        types(Some(&base), &of(&["a", "b", "c", "d", "e"]), &base),
        [added("e", None), added("d", Some("e")), added("b", Some("c"))]
    );
    assert_eq!(types(Some(&base), &of(&["a", "x"]), &base), [TypeChange::RenameLabel(owned("c"), owned("x"))]);
    assert_eq!(types(Some(&base), &of(&["a", "x"]), &of(&["a", "x"])), []);
}

/// How a table may be: columns and constraints from a few, so that they come again under other names.
fn tables() -> impl Strategy<Value = Table> {
    let columns = proptest::sample::subsequence((1..8_i16).collect::<Vec<_>>(), 1..8)
        .prop_flat_map(|numbers| {
            let names = Just((0..10_u8).map(|n| char::from(b'a' + n).to_string()).collect::<Vec<_>>()).prop_shuffle();
            let more = proptest::collection::vec((0..3_usize, any::<bool>(), 0..3_usize), numbers.len());
            (Just(numbers), names, more)
        })
        .prop_map(|(numbers, names, more)| {
            numbers
                .into_iter()
                .zip(names)
                .zip(more)
                .map(|((number, name), (kind, not_null, default))| Column {
                    not_null,
                    default: [None, Some("1".to_owned()), Some("2".to_owned())][default].clone(),
                    ..column(number, &name, ["integer", "bigint", "text"][kind])
                })
                .collect::<Vec<_>>()
        });
    let named = || proptest::collection::btree_map("[p-s]", "[x-z]", 0..4);
    (columns, named(), named(), "[tu]").prop_map(|(columns, constraints, indexes, name)| Table {
        name,
        constraints: constraints.iter().map(|(name, of)| constraint(name, of)).collect(),
        indexes: indexes.iter().map(|(name, of)| index(name, of)).collect(),
        ..table(columns)
    })
}

proptest! {
    #[test]
    fn a_table_that_was_as_the_sources_is_as_the_sources_again(base in tables(), want in tables()) {
        let mut have = base.clone();
        follow(Some(&base), &want, &mut have);
        prop_assert_eq!(shown(&have), shown(&want));
        let again = follow(Some(&want), &want, &mut have);
        prop_assert_eq!(again, []);
    }

    #[test]
    fn any_target_gets_every_column_of_the_source(base in tables(), want in tables(), have in tables()) {
        let mut have = have;
        follow(Some(&base), &want, &mut have);
        for column in &want.columns {
            prop_assert!(have.column(&column.name).is_some(), "{}", column.name);
        }
    }
}
