create table seen (id int primary key); create table unseen (id int primary key); create table beats (at timestamptz);
