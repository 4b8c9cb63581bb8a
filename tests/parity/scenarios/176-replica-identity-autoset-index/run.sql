update a_index set v='y'; update a_index set u=2; update a_full set v='y'; update a_default set v='y'; delete from a_index; delete from a_full; delete from a_default;
