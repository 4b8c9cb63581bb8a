create domain label as varchar(12); create domain price as numeric(9,3); create domain positive as integer check (value > 0); create domain stamp as timestamptz; create domain words as text default 'from the domain';
create table dd (id int primary key, l label not null default 'x', l2 label default 'y', p price not null default 1.5, p2 price default 2.5, n positive not null default 7, n2 positive default 8, s stamp default '2024-01-01 00:00:00+00', w words, w2 words not null);
insert into dd (id) values (1);
