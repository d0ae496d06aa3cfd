// MartletColumns
