begin; insert into parent values (2); truncate parent, lone, unseen cascade; insert into lone values (3,'after'); commit;
truncate lone restart identity; truncate unseen; truncate child;
