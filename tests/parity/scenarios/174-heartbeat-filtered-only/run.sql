insert into unseen values (1),(2);
