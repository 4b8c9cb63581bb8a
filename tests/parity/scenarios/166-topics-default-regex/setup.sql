create schema "Sch_ema"; create table "Sch_ema"."We ird_T-able" (id int primary key, v text); create table plain_table (id int primary key); create table "größe" (id int primary key, "straße" text); create table nokey (v text);
insert into "Sch_ema"."We ird_T-able" values (1,'x');
