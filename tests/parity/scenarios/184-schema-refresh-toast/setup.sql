create table sr (id int primary key, big text, v int, big2 text not null);
alter table sr alter big set storage external, alter big2 set storage external;
