package machine

import "fmt"

// maxMoves is how often one promotion may be moved. The longest way without a
// step back has six; one that goes to and fro this often would do so for ever.
const maxMoves = 64

// LimitError says that a promotion has been moved so often that it is not gone
// on with. It can still be given up.
type LimitError struct {
	Promotion string
	Moves     int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("promotion %s has been moved %d times and gets nowhere: a person has to look", e.Promotion, e.Moves)
}

// limit refuses to go on with a promotion that has been moved too often. moves is
// how many more it takes.
func (m *Machine) limit(moves int) error {
	if m.moves+moves <= maxMoves {
		return nil
	}
	return &LimitError{Promotion: m.promotion.ID, Moves: m.moves}
}
