create schema "Sig nals"; create table "Sig nals"."Sig Table" ("Id" varchar(64) primary key, "Type" varchar(32), "Data" varchar(2048));
create schema "Wéird Schema"; create table "Wéird Schema"."Ta ble" ("Key Column" int, "select" text, "v""q" text, primary key ("Key Column","select")); insert into "Wéird Schema"."Ta ble" select g, 'o''neil', 'x' from generate_series(1,3) g;
create table "UPPER" ("ID" int primary key); insert into "UPPER" values (1),(2),(3); create table "dot.ted" (id int primary key); insert into "dot.ted" values (1);
