create extension hstore; create table h (id int primary key, v hstore, w hstore not null default '"😀"=>"1"');
insert into h values (1,'"😀 𝔘𝔫𝔦"=>"日本", "a\"b"=>"😀"');
