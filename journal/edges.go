package journal

// Firsts returns the first event of each of the promotions with these ids, which have to
// be there, and Lasts the last, as they stood at one moment. As long as that takes nobody
// can append: it is for some hundred at a time.
func (j *Journal) Firsts(ids []string) ([]Event, error) {
	return j.edges(ids, func(index *bucket) (e element, err error) {
		err = index.each(nil, func(first element) (bool, error) {
			e = first
			return false, nil
		})
		return e, err
	})
}

// Lasts is as Firsts.
func (j *Journal) Lasts(ids []string) ([]Event, error) {
	return j.edges(ids, func(index *bucket) (element, error) {
		e, _, err := index.last()
		return e, err
	})
}

// edges are the events that the promotions list where edge says.
func (j *Journal) edges(ids []string, edge func(index *bucket) (element, error)) ([]Event, error) {
	list := make([]Event, len(ids))
	err := j.view(func(p *pages) error {
		for i, id := range ids {
			index, err := p.index([]byte(id))
			if err != nil {
				return err
			}
			var e element
			if index != nil {
				e, err = edge(index)
			}
			if err == nil && e.key == nil {
				err = damagedf("its index of promotion %s is empty or gone", id)
			}
			if err != nil {
				return err
			}
			if list[i], err = p.eventOf(id, e.key); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// eventOf is an event that a promotion lists.
func (p *pages) eventOf(promotion string, key []byte) (Event, error) {
	value, err := p.events.value(key)
	if err != nil {
		return Event{}, err
	}
	ev, err := decode(key, value)
	if err == nil && ev.Promotion != promotion {
		err = &ChainError{Seq: ev.Seq, Reason: "it is listed under another promotion"}
	}
	return ev, err
}
